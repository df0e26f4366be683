"""Write ``mlflow_answers.json``: what MLflow itself finds, and which searches it refuses.

Run it by hand with a Python that has mlflow, and commit the file::

    python tests/store/search/record_mlflow.py

The runs, the experiments and the searches are here and go into the file too; the test reads
only the file. ``{a}`` in a search stands for the id of the run (or of the experiment) ``a``.
"""

import json
import logging
import math
import re
import tempfile
from pathlib import Path

RUNS = {
    # name: metrics, params, tags, datasets (name, digest, context), status, start, end, user
    "a": [
        {"acc": 0.5, "loss": 2.0, "val acc": 1},
        {"model": "m1", "lr": "0.1", "a b": "x", "n": "10"},
        {"team": "red", "a/b": "slash", "mlflow.note.content": "first"},
        [["iris", "d1", "train"]],
        "FINISHED", 1000, 5000, "ann",
    ],
    "b": [
        {"acc": "nan", "loss": 1.5, "loss.min": 9},
        {"model": "M1", "lr": "0.01", "n": "9"},
        {"team": "RED"},
        [["iris", "d1", "train"], ["wine", "d2", "eval"]],
        "FAILED", 2000, 4000, "bob",
    ],
    "c": [
        {"acc": 0.75, "loss": -1},
        {"model": "50%_x", "lr": "0.1"},
        {"team": "blue", "a b": "it's"},
        [["wine", "d3", "train"]],
        "KILLED", 3000, 3500, "ann",
    ],
    "d": [
        {"acc": 0.25},
        {"model": 'say "x"', "a b": "y"},
        {},
        [],
        "RUNNING", 4000, None, "Ann",
    ],
    "e": [
        {"loss": "nan", "val acc": 3, "größe": 5, "min": 4, "1": 2, "a.b.c": 7},
        {"größe": "Größe", "like": "and"},
        {"team": "grün", "mlflow.source.name": "x"},
        [],
        "FINISHED", 5000, 6000, "bob",
    ],
    "f": [
        {"acc": 0.5, "loss": 3},
        {"model": "line\nbreak", "lr": ""},
        {"team": "_e_", "two": "it''s"},
        [],
        "SCHEDULED", 6000, None, "eve",
    ],
}  # fmt: skip
EXPERIMENTS = {"alpha": {"team": "x"}, "Alpha beta": {"team": "X", "a b": "1"}, "gamma_1": {}}

RUN_FILTERS = """

metrics.acc > 0.4
metrics.acc >= 0.5
metrics.acc < 0.5
metrics.acc <= 0.5
metrics.acc = 0.5
metrics.acc != 0.5
metrics.acc == 0.5
metrics.acc <> 0.5
metrics.acc>0.4
metrics.acc>.4
metrics.acc > -1
metrics.acc > +1
metrics.acc > 4e-1
metrics.acc > 4E-1
metrics.acc < 1e400
metrics.acc > 1.
metrics.acc > '0.4'
metrics.acc > "0.4"
metrics.acc > nan
metrics.acc > inf
metrics.acc > 0x1
metrics.acc > 1_0
metrics.acc > abc
metrics.acc LIKE '0%'
metrics.acc IN (0.5, 0.75)
metrics.acc IS NULL
metrics.acc IS NOT NULL
metrics.acc BETWEEN 0.4 AND 0.6
metrics.nope > 0
metrics.nope != 0
metric.acc > 0.4
Metrics.acc > 0.4
metrics.loss > 0
metrics.loss.min > 0
metrics.`loss.min` > 0
metrics."loss.min" > 0
metrics.min > 0
metrics.größe > 0
metrics.1 > 0
metrics."1" > 0
metrics.a.b.c > 0
metrics."val acc" > 0
metrics.`val acc` > 0
metrics.'val acc' > 0
metrics.val acc > 0
`metrics`.acc > 0.4
"metrics".acc > 0.4
metrics . acc > 0.4
0.4 < metrics.acc
metrics.acc
metrics.acc >
metrics.acc > 0.4 AND metrics.loss > 0
metrics.acc > 0.4 and metrics.loss > 0
metrics.acc > 0.4 aNd metrics.loss > 0
metrics.acc > 0.4 metrics.loss > 0
metrics.acc > 0.4 AND AND metrics.loss > 0
AND metrics.acc > 0.4
metrics.acc > 0.4 AND
AND
metrics.acc > 0.4 OR metrics.loss > 0
NOT metrics.acc > 0.4
(metrics.acc > 0.4)
metrics.acc > 0.4;
metrics.acc > 0.4 -- x
metrics.acc > 0.4 /* x */
metrics.acc > 0.4, metrics.loss > 0
metrics.acc > metrics.loss
params.model = 'm1'
params.model = "m1"
params.model = `m1`
params.model = m1
params.model='m1'
params.model != 'm1'
params.model == 'm1'
params.model > 'm1'
params.model >= 'm1'
params.lr = 0.1
params.lr = '0.1'
params.lr > 0.05
params.lr = ''
params.n > '5'
params.model LIKE 'm%'
params.model like 'm%'
params.model LIKE 'M_'
params.model LIKE '%'
params.model LIKE '50\\%%'
params.model LIKE '%\\_x'
params.model LIKE 'line%break'
params.model LIKE 'line_break'
params.model LIKE '%x"'
params.model ILIKE 'M%'
params.model ilike 'm_'
params.größe ILIKE 'GRÖSSE'
params.größe ILIKE 'gröSSe'
params.größe ILIKE 'GRÖßE'
params.größe LIKE 'Gr_ße'
params.model NOT LIKE 'm%'
params.model RLIKE '^m'
params.model REGEXP '^m'
params.model IN ('m1', 'M1')
params.model NOT IN ('m1')
params.model IS NULL
params.model IS NOT NULL
params.model is null
params.model IS 'm1'
params.model IS NOT NULL AND metrics.acc > 0.4
params.nope IS NULL
params.nope != 'x'
params.like = 'and'
param.model = 'm1'
parameter.model = 'm1'
parameters.model = 'm1'
params."a b" = 'x'
params.`a b` = 'x'
params.'a b' = 'x'
params.a b = 'x'
params.model = 'say "x"'
params.model = "say 'x'"
params.model = '
params.model = 'm1
params.model = m1'
params.model = ''
params.model =
params. = 'm1'
tags.team = 'red'
tag.team = 'red'
tags.team != 'red'
tags.team LIKE 'r%'
tags.team LIKE '_r%'
tags.team LIKE '%\\_%'
tags.team ILIKE 'RED'
tags.team ILIKE 'GR%'
tags.team ILIKE 'GRÜN'
tags.team IS NULL
tags.team IS NOT NULL
tags.team IN ('red')
tags.team = 1
tags.`a b` = "it's"
tags."a b" = "it's"
tags.two = 'it''s'
tags.two = "it''s"
tags.a/b = 'slash'
tags.`a/b` = 'slash'
tags."a/b" = 'slash'
tags.a-b = 'x'
tags.mlflow.note.content = 'first'
tags.`mlflow.note.content` = 'first'
tags.mlflow.source.name = 'x'
tags.mlflow.runName = 'a'
status = 'FINISHED'
status = 'finished'
status = 'nonsense'
status != 'FINISHED'
status LIKE 'F%'
status ILIKE 'f%'
status IN ('FINISHED', 'FAILED')
status NOT IN ('FINISHED')
status = "FINISHED"
status = FINISHED
status = 1
status IS NULL
Status = 'FINISHED'
attributes.status = 'FINISHED'
attribute.status = 'FINISHED'
attr.status = 'FINISHED'
run.status = 'FINISHED'
attributes."status" = 'FINISHED'
attributes.`status` = 'FINISHED'
`status` = 'FINISHED'
"status" = 'FINISHED'
start_time > 2000
start_time >= 2000
start_time = 2000
start_time != 2000
start_time = 2000.0
start_time > 2000.5
start_time > '2000'
start_time > -1
start_time LIKE '2%'
start_time IN (2000, 3000)
start_time BETWEEN 2000 AND 3000
attributes.start_time > 2000
created > 2000
Created > 2000
attributes.created > 2000
end_time > 4000
end_time <= 4000
end_time != 4000
end_time IS NULL
run_name = 'a'
run_name != 'a'
run_name LIKE '%'
run_name ILIKE 'A'
run_name IN ('a', 'b')
attributes.run_name = 'a'
attributes.`run name` = 'a'
attributes."run name" = 'a'
attributes.`Run name` = 'a'
attributes.`Run Name` = 'a'
`run name` = 'a'
"run name" = 'a'
run name = 'a'
user_id = 'ann'
user_id != 'ann'
user_id LIKE 'a%'
user_id ILIKE 'a%'
User = 'ann'
run_id = '{a}'
run_id != '{a}'
run_id IN ('{a}', '{b}')
run_id IN ("{a}", "{b}")
run_id IN ('{a}')
run_id IN ('{a}',)
run_id IN ()
run_id IN '{a}'
run_id IN ({a})
run_id IN ('{a}' '{b}')
run_id in ('{a}')
run_id NOT IN ('{a}', '{b}')
run_id not in ('{a}')
run_id LIKE '{a}%'
run_id IN ('nope')
run_id IN ('{a}') AND metrics.acc > 0.4
metrics.acc > 0.4 AND run_id IN ('{a}', '{c}')
attributes.run_id = '{a}'
attributes.run_id IN ('{a}')
artifact_uri LIKE '%'
artifact_uri LIKE '%{a}%'
artifact_uri = 'nope'
experiment_id = '0'
lifecycle_stage = 'active'
dataset.name = 'iris'
datasets.name = 'iris'
dataset.name != 'iris'
dataset.name LIKE 'i%'
dataset.name ILIKE 'I%'
dataset.name IN ('iris', 'wine')
dataset.name NOT IN ('iris')
dataset.digest = 'd2'
dataset.digest IN ('d2', 'd3')
dataset.context = 'eval'
dataset.context LIKE 't%'
dataset.context IN ('eval', 'x')
dataset.name = 'iris' AND dataset.context = 'eval'
dataset.name = 'wine' AND dataset.digest = 'd1'
dataset.name IS NULL
dataset.name > 'i'
dataset.name = 1
dataset.nope = 'x'
dataset.`name` = 'iris'
foo.bar = 'x'
foo = 'x'
metrics.acc > 0.4 AND params.model LIKE 'm%' AND tags.team != 'x' AND status = 'FINISHED'
params.model = 'm1' AND params.lr = '0.1'
params.model = 'm1' AND params.model = 'M1'
metrics.acc > 0.1 AND metrics.acc < 0.6
"""
RUN_ORDERS = """
metrics.acc
metrics.acc ASC
metrics.acc DESC
metrics.acc desc
metrics.acc Desc
metrics.loss
metrics.loss DESC
metric.loss
metrics.`val acc` DESC
metrics."val acc" ASC
metrics.nope
metrics.nope DESC
params.model
params.model DESC
params.lr
params.n DESC
params.`a b`
params.größe
tags.team
tags.team DESC
tags.mlflow.note.content
start_time
start_time DESC
attributes.start_time
created
Created DESC
attributes.created
end_time
end_time DESC
status
status DESC
run_name DESC
attributes.run_name
run.run_name DESC
user_id
user_id DESC
artifact_uri
`run name`
attributes.`run name`
run_id
experiment_id
dataset.name
foo
foo.bar
Metrics.acc
metrics.acc UP
metrics.acc DESC DESC
metrics.acc, metrics.loss
metrics
metrics.
metrics.acc DESC | metrics.loss
status | metrics.loss DESC
status | start_time
params.lr | metrics.acc DESC
user_id | end_time DESC | run_name
metrics.acc | metrics.acc
metrics.acc | metric.acc DESC
"""
EXPERIMENT_FILTERS = """

name = 'alpha'
name = "alpha"
name != 'alpha'
name LIKE 'alpha%'
name ILIKE 'ALPHA%'
name like '%a'
name LIKE '%\\_%'
name LIKE 'gamma_1'
name IN ('alpha', 'gamma_1')
name = alpha
name IS NULL
attribute.name = 'alpha'
attributes.name = 'alpha'
attr.name = 'alpha'
tags.team = 'x'
tag.team = 'x'
tags.team != 'x'
tags.team ILIKE 'x'
tags.`a b` = '1'
tags."a b" = '1'
tags.team IS NULL
tags.team IS NOT NULL
tags.team IN ('x')
creation_time > 0
creation_time < 0
creation_time = '0'
last_update_time > 0
last_update_time >= 0 AND name = 'alpha'
experiment_id = '{alpha}'
experiment_id = 1
experiment_id != '{alpha}'
experiment_id IN ('{alpha}', '{gamma_1}')
experiment_id NOT IN ('{alpha}')
experiment_id LIKE '%'
lifecycle_stage = 'active'
metrics.acc > 1
name = 'alpha' AND tags.team = 'x'
name = 'alpha' OR name = 'gamma_1'
"""
EXPERIMENT_ORDERS = """
name
name DESC
name desc
attribute.name
experiment_id
experiment_id DESC
creation_time
creation_time DESC
last_update_time ASC
tags.team
foo
name | name
"""
OTHERS = {
    "registered models": """
name = 'x'
name != 'x'
name LIKE 'x%'
name ILIKE 'x%'
name IN ('x', 'y')
attribute.name = 'x'
tags.a = 'x'
tag.a != 'x'
tags.`a b` = 'x'
tags.a LIKE 'x%'
tags.a IS NULL
tags.a IN ('x')
name = 1
name > 'x'
run_id = 'x'
creation_timestamp > 5
version_number > 1
name = 'x' AND tags.a = 'y'
name = 'x' OR tags.a = 'y'
""",
    "model versions": """
name = 'x'
name LIKE 'x%'
name IN ('x')
run_id = 'x'
run_id IN ('x', 'y')
source_path = 'x'
source_path LIKE 'x%'
version_number = 1
version_number = '1'
version_number > 1
version_number >= '2'
version_number = 'x'
tags.a = 'x'
tag.a LIKE 'x%'
tags.a IS NULL
attribute.name = 'x'
current_stage = 'Production'
creation_timestamp > 5
name = 'x' AND version_number < 3
""",
    "logged models": """
name = 'x'
name LIKE 'x%'
name ILIKE 'x%'
name IN ('x', 'y')
model_id = 'x'
model_type = 'x'
status = 'READY'
source_run_id = 'x'
experiment_id = '0'
creation_timestamp > 5
creation_time > 5
last_updated_timestamp > 5
attributes.name = 'x'
attribute.name = 'x'
metrics.acc > 0.5
metric.acc > 0.5
params.a = 'x'
params.a LIKE 'x%'
tags.a = 'x'
tags.a IN ('x')
tags.`a b` = 'x'
params.a IS NULL
params.a > 1
metrics.acc = 'x'
name > 'x'
nope = 'x'
name = 'x' OR params.a = 'y'
""",
}


def lines(text):
    return text.removeprefix("\n").removesuffix("\n").split("\n")


def number(value):
    return math.nan if value == "nan" else float(value)


def attempt(search):
    """Return what a search finds, or how it is refused."""
    try:
        return {"found": search()}
    except Exception as error:  # whatever it is, also a failure within, it is no answer
        return {"refused": re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")[:120]}


def fill(store):
    from mlflow.entities import (
        Dataset,
        DatasetInput,
        ExperimentTag,
        InputTag,
        Metric,
        Param,
        RunStatus,
        RunTag,
    )

    ids = {}
    for name, tags in EXPERIMENTS.items():
        pairs = [ExperimentTag(*item) for item in tags.items()]
        ids[name] = store.create_experiment(name, tags=pairs)
    for name, (metrics, params, tags, datasets, status, start, end, user) in RUNS.items():
        run_id = store.create_run("0", user, start, [], name).info.run_id
        ids[name] = run_id
        store.log_batch(
            run_id,
            [Metric(key, number(value), 0, 0) for key, value in metrics.items()],
            [Param(*item) for item in params.items()],
            [RunTag(*item) for item in tags.items()],
        )
        inputs = [
            DatasetInput(Dataset(n, d, "local", "s"), [InputTag("mlflow.data.context", c)])
            for n, d, c in datasets
        ]
        store.log_inputs(run_id, inputs)
        store.update_run_info(run_id, RunStatus.from_string(status), end, None)
    return ids


def main():
    import mlflow
    from mlflow.entities import ViewType
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/m.db"
        store, registry = SqlAlchemyStore(uri, f"{folder}/artifacts"), Registry(uri)
        ids = fill(store)

        def expand(text):
            return re.sub(r"\{([\w ]+)\}", lambda m: ids[m[1]], text)

        def runs(text="", orders=()):
            found = store.search_runs(["0"], expand(text), ViewType.ALL, 100, list(orders))
            return [run.info.run_name for run in found]

        def experiments(text="", orders=()):
            found = store.search_experiments(ViewType.ALL, 100, expand(text), list(orders))
            return [experiment.name for experiment in found]

        def other(kind, text):
            if kind == "registered models":
                registry.search_registered_models(text)
            elif kind == "model versions":
                registry.search_model_versions(text)
            else:
                store.search_logged_models(["0"], text)
            return []

        answers = {
            "mlflow": mlflow.__version__,
            "runs": RUNS,
            "experiments": EXPERIMENTS,
            "ids": ids,
            "run filters": [{"text": t} | attempt(lambda t=t: runs(t)) for t in lines(RUN_FILTERS)],
            "run orders": [
                {"text": t} | attempt(lambda t=t: runs("", t.split(" | ")))
                for t in lines(RUN_ORDERS)
            ],
            "experiment filters": [
                {"text": t} | attempt(lambda t=t: experiments(t)) for t in lines(EXPERIMENT_FILTERS)
            ],
            "experiment orders": [
                {"text": t} | attempt(lambda t=t: experiments("", t.split(" | ")))
                for t in lines(EXPERIMENT_ORDERS)
            ],
        } | {
            kind: [{"text": t} | attempt(lambda k=kind, t=t: other(k, t)) for t in lines(texts)]
            for kind, texts in OTHERS.items()
        }
    path = Path(__file__).with_name("mlflow_answers.json")
    texts = []
    for key, value in answers.items():
        items = [json.dumps(item, ensure_ascii=False) for item in value]
        texts.append(
            f"{json.dumps(key)}: "
            + ("[\n" + ",\n".join(items) + "\n]" if isinstance(value, list)
               else json.dumps(value, ensure_ascii=False))
        )  # fmt: skip
    path.write_text("{\n" + ",\n".join(texts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
