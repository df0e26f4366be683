"""Small scripts as users of MLflow write them: run here on nbtrack, and by `record` on MLflow.

Each takes the module (``m``) and a folder, and returns plain facts: what was stored, and which
calls raised. Ids and times do not come into it.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Script = Callable[[Any, Path], Any]
SCRIPTS: dict[str, Script] = {}


def script(function: Script) -> Script:
    SCRIPTS[function.__name__] = function
    return function


def fails(call: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Say whether a call raises."""
    try:
        call(*args, **kwargs)
    except Exception:
        return True
    return False


def facts(run: Any) -> dict[str, Any]:
    """Return what is stored of a run, without ids and times."""
    hidden = ("mlflow.source.", "mlflow.user", "mlflow.parentRunId")
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith(hidden)}
    named = tags.pop("mlflow.runName", None)
    return {
        "name_is_tag": named == run.info.run_name,
        "status": str(run.info.status),
        "ended": run.info.end_time is not None,
        "stage": str(run.info.lifecycle_stage),
        "params": dict(sorted(run.data.params.items())),
        "metrics": dict(sorted(run.data.metrics.items())),
        "tags": dict(sorted(tags.items())),
    }


def points(client: Any, run_id: str, key: str) -> list[list[Any]]:
    return [[p.step, p.value] for p in client.get_metric_history(run_id, key)]


# -- life of a run


@script
def a_run(m: Any, _: Path) -> Any:
    with m.start_run(run_name="first", tags={"team": "blue", "n": 3}, description="why") as run:
        returned = m.log_param("alpha", 0.1)
        m.log_params({"beta": 2, "none": None, "list": [1, "a"]})
        m.log_metric("loss", 0.5)
        m.log_metric("loss", 0.25, step=1)
        m.log_metrics({"acc": 1, "f1": 0.5}, step=7)
        m.set_tag("c", True)
        m.set_tags({"d": None, "e": 1.5})
        active = m.active_run().info.run_id == run.info.run_id
    stored = m.get_run(run.info.run_id)
    return [facts(stored), returned, active, m.active_run() is None, stored.info.run_name]


@script
def statuses(m: Any, _: Path) -> Any:
    found = {}
    for status in ("FINISHED", "FAILED", "KILLED"):
        run = m.start_run()
        m.end_run(status)
        found[status] = str(m.get_run(run.info.run_id).info.status)
    try:
        with m.start_run() as run:
            raise ZeroDivisionError
    except ZeroDivisionError:
        found["raised"] = str(m.get_run(run.info.run_id).info.status)
    m.end_run()
    m.start_run()
    found["unknown"] = fails(m.end_run, "DONE")
    return found


@script
def nested_runs(m: Any, _: Path) -> Any:
    with m.start_run(run_name="outer") as outer:
        alone = fails(m.start_run)
        with m.start_run(run_name="inner", nested=True) as inner:
            with m.start_run(nested=True) as deepest:
                pass
            active = m.active_run().info.run_id == inner.info.run_id
        back = m.active_run().info.run_id == outer.info.run_id
    tag = m.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"]
    parent = m.get_parent_run(deepest.info.run_id)
    return [
        alone,
        active,
        back,
        tag == outer.info.run_id,
        parent.info.run_name,
        m.get_parent_run(outer.info.run_id),
        "mlflow.parentRunId" in m.get_run(outer.info.run_id).data.tags,
    ]


@script
def parent_by_id(m: Any, _: Path) -> Any:
    with m.start_run() as parent:
        pass
    with m.start_run() as other:
        pass
    with m.start_run(parent_run_id=parent.info.run_id) as child:
        nothing = fails(m.start_run, nested=True, parent_run_id=other.info.run_id)
    m.delete_run(other.info.run_id)
    return [
        m.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id,
        nothing,
        fails(m.start_run, parent_run_id=other.info.run_id),
        fails(m.start_run, parent_run_id="f" * 32),
        m.active_run() is None,
    ]


@script
def going_on(m: Any, _: Path) -> Any:
    with m.start_run(run_name="one") as run:
        m.log_metric("a", 1)
    with m.start_run(run_id=run.info.run_id, tags={"t": "x"}, description="more") as again:
        during = str(m.get_run(run.info.run_id).info.status)
        m.log_metric("b", 2)
    return [
        again.info.run_id == run.info.run_id,
        during,
        facts(m.get_run(run.info.run_id)),
        fails(m.start_run, run_id="f" * 32),
        m.active_run() is None,
    ]


@script
def going_on_with_another_name(m: Any, _: Path) -> Any:
    with m.start_run(run_name="one") as run:
        pass
    with m.start_run(run_id=run.info.run_id, run_name="two"):
        pass
    stored = m.get_run(run.info.run_id)
    return [stored.info.run_name, stored.data.tags["mlflow.runName"]]


@script
def going_on_by_position(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        pass
    with m.start_run(run.info.run_id) as again:
        pass
    return again.info.run_id == run.info.run_id


@script
def going_on_with_a_deleted_run(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        pass
    m.delete_run(run.info.run_id)
    return [fails(m.start_run, run_id=run.info.run_id), m.active_run() is None]


@script
def run_id_in_the_environment(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        pass
    os.environ["MLFLOW_RUN_ID"] = run.info.run_id
    with m.start_run() as again:
        pass
    with m.start_run() as another:
        pass
    same = again.info.run_id == run.info.run_id
    return [same, another.info.run_id == run.info.run_id, "MLFLOW_RUN_ID" in os.environ]


@script
def descriptions(m: Any, _: Path) -> Any:
    with m.start_run(description="text") as run:
        pass
    note = "mlflow.note.content"
    twice = fails(m.start_run, description="a", tags={note: "b"})
    return [m.get_run(run.info.run_id).data.tags[note], twice]


@script
def last_run(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        during = m.last_active_run().info.run_id == run.info.run_id
        m.log_metric("x", 1)
    last = m.last_active_run()
    return [during, last.info.run_id == run.info.run_id, last.data.metrics, str(last.info.status)]


@script
def logging_without_a_run(m: Any, _: Path) -> Any:
    m.log_metric("x", 1)
    run = m.active_run()
    m.log_param("p", 1)
    m.end_run()
    return facts(m.get_run(run.info.run_id))


@script
def handle(m: Any, _: Path) -> Any:
    with m.start_run(run_name="mine") as run:
        info = run.info
        m.log_param("a", 1)
    dictionary = m.get_run(info.run_id).to_dictionary()
    return [
        info.run_name,
        info.experiment_id,
        str(info.status),
        info.lifecycle_stage,
        len(info.run_id),
        isinstance(run, m.ActiveRun),
        sorted(set(dictionary) & {"info", "data", "inputs"}),
        dictionary["data"]["params"],
        dictionary["info"]["run_name"],
        dictionary["info"]["status"],
    ]


@script
def threads(m: Any, _: Path) -> Any:
    seen: list[Any] = []

    def work() -> None:
        seen.append(m.active_run() is None)
        with m.start_run(run_name="in a thread"):
            m.log_param("from", "thread")
        seen.append(m.last_active_run().data.params)

    with m.start_run(run_name="main") as run:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return [seen, facts(m.get_run(run.info.run_id))["params"]]


# -- params, metrics, tags


@script
def metric_values(m: Any, _: Path) -> Any:
    import numpy as np

    values = {
        "int": 1,
        "bool": True,
        "float32": np.float32(0.5),
        "int64": np.int64(3),
        "array": np.array(2.5),
        "one": np.array([1.5]),
        "text": "high",
        "none": None,
        "list": [1],
        "two": np.zeros(2),
        "dict": {},
    }
    with m.start_run() as run:
        refused = [key for key, value in values.items() if fails(m.log_metric, key, value)]
    return [refused, facts(m.get_run(run.info.run_id))["metrics"]]


@script
def infinities(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        m.log_metric("nan", math.nan)
        m.log_metrics({"inf": math.inf, "minus": -math.inf})
    return {
        key: str(value) for key, value in sorted(m.get_run(run.info.run_id).data.metrics.items())
    }


@script
def steps(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    with m.start_run() as run:
        for step, value in ((3, 0.3), (1, 0.1), (2, 0.2), (-1, 9.0)):
            m.log_metric("x", value, step=step, timestamp=1000 + step)
        m.log_metric("x", 0.35, step=3, timestamp=2000)
    run_id = run.info.run_id
    last = m.get_run(run_id).data.metrics["x"]
    return [sorted(points(client, run_id, "x")), last, points(client, run_id, "unknown")]


@script
def metrics_of_another_run(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        pass
    m.log_metric("a", 1, run_id=run.info.run_id)
    m.log_metrics({"b": 2}, run_id=run.info.run_id, step=4)
    m.log_params({"p": 1}, run_id=run.info.run_id)
    return [facts(m.get_run(run.info.run_id)), m.active_run() is None]


@script
def synchronous(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        m.log_metric("a", 1, synchronous=False).wait()
        m.log_metrics({"b": 1}, synchronous=False).wait()
        m.log_params({"c": 1}, synchronous=False).wait()
        m.set_tags({"d": 1}, synchronous=False).wait()
        m.set_tag("e", 1, synchronous=False).wait()
        returned = [m.log_metric("f", 1, synchronous=True), m.log_param("g", 5, synchronous=True)]
    return [facts(m.get_run(run.info.run_id)), returned]


@script
def params_again(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        m.log_param("p", 1)
        m.log_param("p", 1)
        other = fails(m.log_param, "p", 2)
    return [other, facts(m.get_run(run.info.run_id))["params"]]


@script
def long_values(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        param = fails(m.log_param, "p", "x" * 7000)
        m.set_tag("t", "y" * 9000)
        key = fails(m.log_param, "k" * 300, 1)
    data = m.get_run(run.info.run_id).data
    return [param, key, len(data.params.get("p", "")), len(data.tags["t"])]


@script
def tags(m: Any, _: Path) -> Any:
    with m.start_run(tags={"a": 1}) as run:
        m.set_tag("a", 2)
        m.set_tag("b", 3)
        m.delete_tag("b")
        unknown = fails(m.delete_tag, "zzz")
    return [unknown, facts(m.get_run(run.info.run_id))["tags"]]


@script
def name_and_tag(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    with m.start_run(run_name="one") as run:
        m.set_tag("mlflow.runName", "two")
    by_tag = m.get_run(run.info.run_id).info.run_name
    client.update_run(run.info.run_id, name="three")
    stored = m.get_run(run.info.run_id)
    return [by_tag, stored.info.run_name, stored.data.tags["mlflow.runName"]]


@script
def source(m: Any, _: Path) -> Any:
    with m.start_run() as run:
        pass
    found = m.get_run(run.info.run_id).data.tags
    return [found["mlflow.source.type"], bool(found["mlflow.user"]), "mlflow.source.name" in found]


# -- experiments


@script
def experiments(m: Any, _: Path) -> Any:
    made = m.create_experiment("churn", tags={"team": "blue"})
    found = m.get_experiment(made)
    m.set_experiment("churn")
    m.set_experiment_tag("a", 1)
    m.set_experiment_tags({"b": 2, "c": 3})
    m.delete_experiment_tag("b")
    with m.start_run() as run:
        pass
    return [
        made,
        found.name,
        found.lifecycle_stage,
        found.tags["team"],
        type(found.creation_time).__name__,
        type(found.last_update_time).__name__,
        run.info.experiment_id,
        {k: v for k, v in m.get_experiment_by_name("churn").tags.items() if len(k) == 1},
        fails(m.create_experiment, "churn"),
        fails(m.create_experiment, ""),
        fails(m.create_experiment, None),
        fails(m.get_experiment, "999"),
        m.get_experiment_by_name("unknown"),
        fails(m.delete_experiment_tag, "zzz"),
    ]


@script
def choosing_an_experiment(m: Any, _: Path) -> Any:
    made = m.set_experiment("one")
    again = m.set_experiment(experiment_id=made.experiment_id)
    other = m.set_experiment("two")
    with m.start_run(experiment_id=made.experiment_id) as run:
        pass
    with m.start_run() as second:
        pass
    return [
        made.name,
        again.name,
        run.info.experiment_id == made.experiment_id,
        second.info.experiment_id == other.experiment_id,
        fails(m.set_experiment),
        fails(m.set_experiment, "a", "0"),
        fails(m.set_experiment, experiment_id="999"),
        fails(m.set_experiment, ""),
        fails(m.start_run, experiment_id="999"),
        m.active_run() is None,
    ]


@script
def going_on_in_another_experiment(m: Any, _: Path) -> Any:
    m.set_experiment("one")
    with m.start_run() as run:
        pass
    m.set_experiment("two")
    return fails(m.start_run, run_id=run.info.run_id)


@script
def experiment_trash(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    made = m.create_experiment("churn")
    m.set_experiment("churn")
    with m.start_run() as run:
        pass
    m.delete_experiment(made)
    found = [
        m.get_experiment(made).lifecycle_stage,
        m.get_run(run.info.run_id).info.lifecycle_stage,
        fails(m.start_run),
        fails(m.set_experiment, "churn"),
        fails(m.create_experiment, "churn"),
        fails(m.delete_experiment, made),
        fails(client.create_run, made),
        [x.name for x in m.search_experiments()],
        [x.name for x in m.search_experiments(view_type=2)],
        sorted(x.name for x in m.search_experiments(view_type=3)),
        fails(m.delete_experiment, "999"),
    ]
    client.restore_experiment(made)
    client.rename_experiment(made, "kept")
    return [
        *found,
        m.get_experiment(made).lifecycle_stage,
        m.get_run(run.info.run_id).info.lifecycle_stage,
        fails(client.restore_experiment, made),
        m.get_experiment(made).name,
        fails(client.rename_experiment, made, "Default"),
        fails(client.rename_experiment, "999", "x"),
        m.start_run().info.experiment_id == made,
    ]


@script
def experiment_in_the_environment(m: Any, _: Path) -> Any:
    os.environ["MLFLOW_EXPERIMENT_NAME"] = "by name"
    with m.start_run() as run:
        pass
    named = m.get_experiment(run.info.experiment_id).name
    os.environ["MLFLOW_EXPERIMENT_ID"] = "0"
    both = fails(m.start_run)
    del os.environ["MLFLOW_EXPERIMENT_NAME"]
    with m.start_run() as other:
        pass
    return [named, both, other.info.experiment_id]


@script
def search_experiments(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    for name in ("a", "b", "c"):
        m.create_experiment(name, tags={"kind": name})
    page = client.search_experiments(max_results=3, order_by=["name ASC"])
    rest = client.search_experiments(max_results=3, order_by=["name ASC"], page_token=page.token)
    return [
        [x.name for x in m.search_experiments()][-1],
        [x.name for x in page],
        [x.name for x in rest],
        rest.token,
        [x.name for x in m.search_experiments(filter_string="tags.kind = 'b'")],
        [x.name for x in m.search_experiments(filter_string="name LIKE '%a%'", order_by=["name"])],
        len(m.search_experiments(max_results=2)),
        fails(m.search_experiments, filter_string="nonsense ="),
    ]


# -- the client


@script
def client_runs(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    run = client.create_run("0", tags={"t": "x"}, run_name="mine", start_time=5)
    run_id = run.info.run_id
    client.log_param(run_id, "p", 1)
    client.log_metric(run_id, "m", 0.5, step=3, timestamp=7)
    client.log_metric(run_id, "m", 0.75)
    client.set_tag(run_id, "u", 2)
    during = str(client.get_run(run_id).info.status)
    client.set_terminated(run_id, "FAILED", end_time=99)
    stored = client.get_run(run_id)
    return [
        facts(stored),
        during,
        stored.info.start_time,
        stored.info.end_time,
        stored.info.run_name,
        stored.info.user_id,
        sorted(k for k in stored.data.tags if k.startswith("mlflow.")),
        m.active_run() is None,
        fails(client.create_run, "999"),
    ]


@script
def client_with_an_unknown_run(m: Any, _: Path) -> Any:
    client, run_id = m.MlflowClient(), "f" * 32
    return [
        fails(client.get_run, run_id),
        fails(client.log_param, run_id, "p", 1),
        fails(client.log_metric, run_id, "m", 1),
        fails(client.set_tag, run_id, "t", 1),
        fails(client.delete_tag, run_id, "t"),
        fails(client.log_batch, run_id, params=[m.entities.Param("a", "1")]),
        fails(client.set_terminated, run_id),
        fails(client.update_run, run_id, status="FAILED"),
        fails(client.delete_run, run_id),
        fails(client.restore_run, run_id),
        fails(client.log_text, run_id, "x", "a.txt"),
        fails(client.list_artifacts, run_id),
        fails(client.get_parent_run, run_id),
        fails(m.log_metric, "x", 1, run_id=run_id),
    ]


@script
def client_update(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    run_id = client.create_run("0").info.run_id
    client.update_run(run_id, status="SCHEDULED", name="new")
    stored = client.get_run(run_id)
    first = [str(stored.info.status), stored.info.run_name]
    client.update_run(run_id)
    return [*first, fails(client.update_run, run_id, status="DONE")]


@script
def trash(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    with m.start_run() as run:
        m.log_metric("x", 1)
    run_id = run.info.run_id
    m.delete_run(run_id)
    client.delete_run(run_id)
    found = [
        client.get_run(run_id).info.lifecycle_stage,
        fails(client.log_metric, run_id, "x", 1),
        fails(client.log_param, run_id, "x", 1),
        fails(client.set_tag, run_id, "x", 1),
        len(client.search_runs(["0"])),
        len(client.search_runs(["0"], run_view_type=2)),
        len(client.search_runs(["0"], run_view_type=m.entities.ViewType.ALL)),
    ]
    client.restore_run(run_id)
    client.restore_run(run_id)
    client.log_metric(run_id, "x", 2, step=1)
    stored = client.get_run(run_id)
    return [*found, stored.info.lifecycle_stage, stored.data.metrics]


@script
def batches(m: Any, _: Path) -> Any:
    client, e = m.MlflowClient(), m.entities
    run_id = client.create_run("0").info.run_id
    client.log_batch(
        run_id,
        metrics=[e.Metric("m", 0.5, 10, 1), e.Metric("m", 0.25, 20, 2)],
        params=[e.Param("p", "1"), e.Param("q", 2)],
        tags=[e.RunTag("t", "x"), e.RunTag("t", "y")],
    )
    client.log_batch(run_id)
    bad = fails(
        client.log_batch,
        run_id,
        metrics=[e.Metric("late", 1.0, 10, 1), e.Metric("bad", "high", 10, 1)],
        params=[e.Param("late", "1")],
    )
    return [facts(client.get_run(run_id)), points(client, run_id, "m"), bad]


@script
def large_batches(m: Any, _: Path) -> Any:
    client, e = m.MlflowClient(), m.entities
    run_id = client.create_run("0").info.run_id
    client.log_batch(run_id, params=[e.Param(f"p{i}", str(i)) for i in range(250)])
    client.log_batch(run_id, metrics=[e.Metric("m", float(i), i, i) for i in range(1500)])
    run = client.get_run(run_id)
    return [len(run.data.params), len(client.get_metric_history(run_id, "m"))]


# -- data


@script
def inputs(m: Any, _: Path) -> Any:
    import numpy as np
    import pandas as pd

    wine = m.data.from_pandas(pd.DataFrame({"x": [1.0, 2.0]}), source="wine.csv", name="wine")
    grid = m.data.from_numpy(np.zeros((2, 3)), name="grid")
    with m.start_run() as run:
        m.log_input(wine, context="training", tags={"k": "v"})
        m.log_inputs([grid, wine], ["eval", "eval"], [None, None])
        uneven = fails(m.log_inputs, [grid], [], [])
    items = m.get_run(run.info.run_id).inputs.dataset_inputs
    return [
        uneven,
        sorted((i.dataset.name, i.dataset.digest, i.dataset.source_type) for i in items),
    ]


# -- artifacts


@script
def artifacts(m: Any, folder: Path) -> Any:
    client = m.MlflowClient()
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "a.txt").write_text("A")
    (folder / "in" / "deep" / "b.txt").write_text("B")
    with m.start_run() as run:
        m.log_artifact(str(folder / "in" / "a.txt"))
        m.log_artifact(str(folder / "in" / "a.txt"), "sub/dir")
        m.log_artifact(str(folder / "in"), "whole")
        m.log_artifacts(str(folder / "in"), "all")
        m.log_text("hello", "notes/t.txt")
        m.log_dict({"a": [1, 2]}, "d.json")
        m.log_dict({"a": [1, 2]}, "d.yaml")
        missing = fails(m.log_artifact, str(folder / "nothing.txt"))
        climbing = fails(m.log_text, "x", "../up.txt")
        uri = m.get_artifact_uri("notes/t.txt")
    run_id = run.info.run_id
    listed = [[f.path, f.is_dir, f.file_size] for f in client.list_artifacts(run_id)]
    out = client.download_artifacts(run_id, "whole")
    one = m.artifacts.download_artifacts(
        run_id=run_id, artifact_path="all/deep/b.txt", dst_path=str(folder / "new" / "out")
    )
    return [
        listed,
        [[f.path, f.is_dir] for f in client.list_artifacts(run_id, "whole")],
        client.list_artifacts(run_id, "notes/t.txt"),
        client.list_artifacts(run_id, "unknown"),
        sorted(p.relative_to(out).as_posix() for p in Path(out).rglob("*") if p.is_file()),
        [Path(one).relative_to(folder).as_posix(), Path(one).read_text()],
        m.artifacts.load_text(f"runs:/{run_id}/notes/t.txt"),
        m.artifacts.load_text(uri),
        m.artifacts.load_dict(f"runs:/{run_id}/d.json"),
        Path(client.download_artifacts(run_id, "d.yaml")).read_text(),
        [f.path for f in m.artifacts.list_artifacts(f"runs:/{run_id}/notes")],
        sorted(f.path for f in m.artifacts.list_artifacts(run_id=run_id)),
        isinstance(out, str),
        missing,
        climbing,
        fails(client.download_artifacts, run_id, "unknown"),
        fails(m.artifacts.download_artifacts),
        fails(m.artifacts.download_artifacts, f"runs:/{run_id}/d.json", run_id=run_id),
        fails(m.artifacts.load_dict, f"runs:/{run_id}/notes/t.txt"),
        fails(m.artifacts.load_text, f"runs:/{'f' * 32}/a.txt"),
    ]


@script
def artifacts_of_another_run(m: Any, folder: Path) -> Any:
    client = m.MlflowClient()
    run_id = client.create_run("0").info.run_id
    (folder / "a.txt").write_text("A")
    client.log_artifact(run_id, str(folder / "a.txt"), "x")
    client.log_text(run_id, "t", "b.txt")
    client.log_dict(run_id, {"k": 1}, "c.json")
    m.log_text("t", "d.txt", run_id=run_id)
    m.log_dict({}, "e.json", run_id=run_id)
    m.log_artifact(str(folder / "a.txt"), run_id=run_id)
    return [[f.path for f in client.list_artifacts(run_id)], m.active_run() is None]


@script
def local_artifacts(m: Any, folder: Path) -> Any:
    (folder / "a.txt").write_text("A")
    path = m.artifacts.download_artifacts(str(folder / "a.txt"))
    return [Path(path).read_text(), m.artifacts.load_text(str(folder / "a.txt"))]


@script
def images(m: Any, _: Path) -> Any:
    import numpy as np

    client = m.MlflowClient()
    image = np.zeros((4, 6, 3), dtype="uint8")
    with m.start_run() as run:
        m.log_image(image, "plots/a.png")
        m.log_image(image, key="dogs", step=3, timestamp=7)
        refused = [
            fails(m.log_image, image),
            fails(m.log_image, image, "a.png", key="x"),
            fails(m.log_image, "text", "a.png"),
            fails(m.log_image, image, key="a:b"),
        ]
    run_id = run.info.run_id
    names = [Path(f.path).name for f in client.list_artifacts(run_id, "images")]
    starts = sorted((n.rpartition("+compressed")[0] or n)[:24] + Path(n).suffix for n in names)
    loaded = m.artifacts.load_image(f"runs:/{run_id}/plots/a.png")
    tag = m.get_run(run_id).data.tags["mlflow.loggedImages"]
    return [refused, starts, list(loaded.size), tag]


@script
def figures(m: Any, _: Path) -> Any:
    from matplotlib.figure import Figure

    client = m.MlflowClient()
    with m.start_run() as run:
        m.log_figure(Figure(), "plots/a.png")
        m.log_figure(Figure(), "plots/b.svg", save_kwargs={"dpi": 30})
        refused = fails(m.log_figure, "text", "c.png")
    return [[f.path for f in client.list_artifacts(run.info.run_id, "plots")], refused]


@script
def tables(m: Any, _: Path) -> Any:
    import pandas as pd

    with m.start_run() as run:
        m.log_table({"q": ["a", "b"], "n": [1, 2]}, "t.json")
        m.log_table(pd.DataFrame({"q": ["c"], "z": [0.5]}), "t.json")
        refused = [
            fails(m.log_table, {"a": [1]}, "t.csv"),
            fails(m.log_table, [1, 2], "u.json"),
            fails(m.log_table, {"a": [1]}, "u:v.json"),
        ]
    with m.start_run():
        m.log_table({"q": ["d"]}, "t.json")
    one = m.load_table("t.json", run_ids=[run.info.run_id])
    both = m.load_table("t.json", extra_columns=["status"])
    tag = m.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"]
    return [
        list(one.columns),
        one["q"].tolist(),
        sorted(both["q"]),
        both["status"].tolist(),
        json.loads(tag),
        refused,
        fails(m.load_table, "unknown.json"),
    ]


# -- searching


def _filled(m: Any) -> None:
    for i, model in enumerate(("forest", "svm", "forest")):
        with m.start_run(run_name=f"r{i}", tags={"team": f"t{i}"}):
            m.log_param("model", model)
            m.log_metric("acc", i / 10)
            if i:
                m.log_metric("late", 1.0)
    m.set_experiment("other")
    with m.start_run(run_name="elsewhere"):
        m.log_metric("acc", 0.9)


@script
def searching(m: Any, _: Path) -> Any:
    client = m.MlflowClient()
    _filled(m)

    def names(*args: Any, **kwargs: Any) -> list[str]:
        return [run.info.run_name for run in m.search_runs(*args, output_format="list", **kwargs)]

    page = client.search_runs(["0"], max_results=2, order_by=["metrics.acc ASC"])
    rest = client.search_runs(["0"], "", 1, 2, ["metrics.acc ASC"], page.token)
    return {
        "in use": names(),
        "by id": names(["0"]),
        "by name": names(experiment_names=["Default"]),
        "all": names(search_all_experiments=True),
        "both": fails(names, ["0"], experiment_names=["Default"]),
        "filter": names(["0"], "metrics.acc > 0.05 and params.model = 'forest'"),
        "order": names(["0"], order_by=["metrics.acc DESC"]),
        "missing last": names(["0"], order_by=["metrics.late ASC", "metrics.acc ASC"]),
        "few": names(["0"], max_results=2),
        "name": names(["0"], "run_name = 'r1'"),
        "nonsense": fails(names, ["0"], "nonsense ="),
        "unknown id": names(["999"]),
        "page": [run.info.run_name for run in page],
        "rest": [run.info.run_name for run in rest],
        "tokens": [page.token is not None, rest.token],
        "bad token": fails(client.search_runs, ["0"], page_token="nonsense"),
        "none": names([], experiment_names=[]),
        "format": fails(m.search_runs, output_format="polars"),
        "zero": fails(client.search_runs, ["0"], max_results=0),
    }


@script
def frames(m: Any, _: Path) -> Any:
    _filled(m)
    frame = m.search_runs(["0"], order_by=["metrics.acc ASC"])
    hidden = ("tags.mlflow.source.git", "tags.mlflow.parentRunId")
    columns = [name for name in frame.columns if not name.startswith(hidden)]
    fixed = [name for name in columns if "." not in name]
    return {
        "fixed": fixed,
        "kinds": list(dict.fromkeys(name.split(".")[0] for name in columns if "." in name)),
        "columns": sorted(columns),
        "numbers": {
            name: str(frame[name].dtype) for name in columns if name.startswith("metrics.")
        },
        "zones": [str(frame[name].dt.tz) for name in ("start_time", "end_time")],
        "texts": frame["params.model"].tolist(),
        "missing": frame["metrics.late"].isna().tolist(),
        "status": frame["status"].tolist(),
    }


@script
def no_runs(m: Any, _: Path) -> Any:
    frame = m.search_runs()
    return [len(frame), list(frame.columns), m.search_runs(output_format="list")]


# -- settings


@script
def system_metrics(m: Any, _: Path) -> Any:
    m.set_system_metrics_sampling_interval(0.2)
    m.set_system_metrics_samples_before_logging(1)
    m.set_system_metrics_node_id("n1")
    with m.start_run(log_system_metrics=True) as run:
        threading.Event().wait(1.2)
    m.set_system_metrics_sampling_interval(None)
    m.set_system_metrics_samples_before_logging(None)
    m.set_system_metrics_node_id(None)
    m.enable_system_metrics_logging()
    with m.start_run() as other:
        threading.Event().wait(0.1)
    m.disable_system_metrics_logging()
    with m.start_run() as third:
        pass
    found = sorted(m.get_run(run.info.run_id).data.metrics)
    return [
        [name for name in found if "gpu" not in name],
        fails(lambda: m.get_run(other.info.run_id)),
        len(m.get_run(third.info.run_id).data.metrics),
    ]


@script
def tracking_uri(m: Any, _: Path) -> Any:
    return [m.is_tracking_uri_set(), isinstance(m.get_tracking_uri(), str)]
