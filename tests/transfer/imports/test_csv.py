"""CSV files as trackers, pandas, Keras and Lightning write them."""

from __future__ import annotations

import math
import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtrack.tracking import Client
from nbtrack.tracking.frames import mlflow_frame, people_frame
from nbtrack.transfer.imports.base import ForeignRun
from nbtrack.transfer.imports.csv import CsvArchive, is_csv
from nbtrack.transfer.imports.csv_rows import Rows, time_of
from nbtrack.types import RunQuery, RunStatus, RunTable

ID = "0123456789abcdef0123456789abcdef"


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path: Path, problems: list[str] | None = None, **options: Any) -> list[Any]:
    """Return each run with its points."""
    found = []
    with closing(CsvArchive(path, **options)) as archive:
        for run in archive.runs():
            points: dict[str, list[tuple[int, float]]] = {}
            for part in run.series():
                assert part.steps.dtype == part.timestamps.dtype == np.int64
                assert part.values.dtype == np.float64
                pairs = zip(part.steps.tolist(), part.values.tolist(), strict=True)
                points.setdefault(part.key, []).extend(pairs)
            found.append((run, points))
            assert run.experiment in {e.name for e in archive.experiments()}
            assert len(run.run_id) == 32
        assert len({run.run_id for run, _ in found}) == len(found) <= archive.run_count()
        if problems is None:
            assert archive.problems == []
        else:
            problems += archive.problems
    return found


def test_runs_of_a_frame(client: Client, tmp_path: Path) -> None:
    parent = client.start_run("parent", experiment_name="far")
    with client.start_run("child", experiment_name="far", parent_run_id=parent.run_id) as run:
        run.log_params({"lr": 0.1, "note": 'a, "b"\nc', "n": 7})
        run.log_metrics({"loss": 1 / 3, "acc": 1.0, "inf": math.inf})
        run.set_tags({"who": "me \N{SNOWMAN}"})
    parent.end("FAILED")
    path = tmp_path / "runs.csv"
    table = client.workspace.store.run_table(RunQuery(run_ids=(parent.run_id, run.run_id)))
    mlflow_frame(table).to_csv(path, index=False)
    found = {run.run_name: (run, points) for run, points in read(path)}
    assert {name: run.status for name, (run, _) in found.items()} == {
        "parent": RunStatus.FAILED,
        "child": RunStatus.FINISHED,
    }
    child, points = found["child"]
    there = client.get_run(run.run_id)
    assert child.run_id == run.run_id
    assert child.parent_run_id == parent.run_id
    assert child.params == there.data.params
    assert child.tags == there.data.tags
    assert points == {key: [(0, value)] for key, value in there.data.metrics.items()}
    assert (child.start_time, child.end_time) == (there.info.start_time, there.info.end_time)
    assert child.experiment == "runs"


MLFLOW = """
import sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
with mlflow.start_run(run_name="first") as run:
    mlflow.log_params({"lr": 0.1, "note": "a, b"})
    mlflow.log_metrics({"loss": 0.25, "count": 3}, step=5)
    mlflow.set_tag("who", "me")
info = mlflow.get_run(run.info.run_id).info
print("RUN", info.run_id, info.start_time, info.end_time)
"""


@pytest.mark.mlflow
def test_mlflows_own_csv(tmp_path: Path, mlflow_python: str) -> None:
    store, path = (tmp_path / "mlruns").as_uri(), tmp_path / "runs.csv"
    env = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": store}

    def run(*args: str) -> str:
        command = [mlflow_python, *args]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    run_id, start, end = run("-c", MLFLOW, store).partition("RUN ")[2].split()
    run("-m", "mlflow", "experiments", "csv", "-x", "0", "-o", str(path))
    ((found, points),) = read(path)
    assert (found.run_id, found.run_name, found.status) == (run_id, "first", "FINISHED")
    assert (found.start_time, found.end_time) == (int(start), int(end))
    assert found.params == {"lr": "0.1", "note": "a, b"}
    assert found.tags["who"] == "me"
    assert points == {"loss": [(0, 0.25)], "count": [(0, 3.0)]}


# pandas puts no quotes around a carriage return.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1, max_size=9
)
KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
RUNS = st.lists(
    st.tuples(
        st.dictionaries(KEYS, TEXTS, max_size=3),
        st.dictionaries(KEYS, st.floats(allow_nan=False), max_size=3),
        st.dictionaries(KEYS, TEXTS, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=50, deadline=None)
@given(RUNS)
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[Any, Any, Any]]
) -> None:
    def columns(which: int, missing: Any) -> dict[str, list[Any]]:
        keys = dict.fromkeys(key for run in runs for key in run[which])
        return {key: [run[which].get(key, missing) for run in runs] for key in keys}

    count = len(runs)
    table = RunTable(
        [f"{i:032x}" for i in range(count)],
        {
            "experiment_id": ["0"] * count,
            "status": [RunStatus.FINISHED] * count,
            "start_time": [1_700_000_000_123] * count,
            "end_time": [None] * count,
        },
        columns(0, None),
        columns(2, None),
        {key: np.array(values) for key, values in columns(1, math.nan).items()},
    )
    path = tmp_path_factory.mktemp("csv") / "runs.csv"
    mlflow_frame(table).to_csv(path, index=False)
    back = read(path)
    assert [(run.params, run.tags) for run, _ in back] == [(run[0], run[2]) for run in runs]
    for (run, points), (_, metrics, _) in zip(back, runs, strict=True):
        assert {key: found[0][1] for key, found in points.items()} == metrics
        assert run.start_time == 1_700_000_000_123


def test_a_table_without_prefixes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "wandb.csv",
        "Name,State,User,Created,Runtime,batch,opt,lr,acc,empty\n"
        "one,finished,ann,2023-11-14T22:13:20.000Z,90,32,adam,1e-3,0.5,\n"
        "one,crashed,bob,2023-11-14T22:13:20.000Z,,64,sgd,0.01,NaN,\n"
        "two,running,,,,,,,,\n",
    )
    (first, points), (second, _), (third, none) = read(path, experiment_name="x")
    assert (first.run_name, first.status, first.user_id) == ("one", "FINISHED", "ann")
    assert (first.start_time, first.end_time) == (1_700_000_000_000, 1_700_000_090_000)
    assert first.params == {"batch": "32", "opt": "adam"}
    assert points == {"lr": [(0, 0.001)], "acc": [(0, 0.5)]}
    assert (second.status, third.status) == ("FAILED", "RUNNING")
    assert none == third.params == {}
    assert third.start_time == path.stat().st_mtime_ns // 1_000_000
    assert first.experiment == "x"
    again = read(path, params=("lr",), metrics=("batch",))
    assert again[0][0].params == {"opt": "adam", "lr": "1e-3"}
    assert again[0][1] == {"batch": [(0, 32.0)], "acc": [(0, 0.5)]}
    assert [run.run_id for run, _ in again] == [first.run_id, second.run_id, third.run_id]


def test_the_table_for_people(client: Client, tmp_path: Path) -> None:
    with client.start_run("one", experiment_name="near") as run:
        run.log_params({"depth": 3})
        run.log_metrics({"acc": 0.5})
    client.flush()
    path = tmp_path / "runs.csv"
    people_frame(client.workspace.store.run_table(RunQuery())).to_csv(path)
    ((found, points),) = read(path)
    assert (found.run_id, found.experiment) == (run.run_id, "near")
    assert found.params == {"depth": "3"}
    assert points == {"acc": [(0, 0.5)]}


def test_keras(tmp_path: Path) -> None:
    path = write(tmp_path / "training.csv", "epoch,loss,val_loss\n0,0.5,0.6\n1,0.25,nan\n")
    ((run, points),) = read(path)
    assert run.run_name == tmp_path.name
    assert repr(points) == repr(
        {"loss": [(0, 0.5), (1, 0.25)], "val_loss": [(0, 0.6), (1, math.nan)]}
    )
    # It goes on, and has another column.
    write(path, "epoch,loss,lr,val_loss\n0,0.5,,0.6\n1,0.25,,nan\n2,0.1,0.5,0.2\n")
    ((later, points),) = read(path)
    assert later.run_id == run.run_id
    assert points["lr"] == [(2, 0.5)]
    write(path, "epoch,loss,val_loss\n0,0.4,0.6\n")  # trained anew
    assert read(path)[0][0].run_id != run.run_id
    write(tmp_path / "b.csv", "epoch;loss;val\n0;0,5;1e-3\n1;1.25;-,5\n")
    assert read(tmp_path / "b.csv")[0][1] == {
        "loss": [(0, 0.5), (1, 1.25)],
        "val": [(0, 0.001), (1, -0.5)],
    }


def test_lightning(tmp_path: Path) -> None:
    for version in range(2):
        folder = tmp_path / "lightning_logs" / f"version_{version}"
        write(folder / "metrics.csv", "epoch,step,train_loss,val_loss\n0,49,0.5,\n0,99,,0.4\n")
        write(folder / "hparams.yaml", "lr: 0.1\nmodel:\n  depth: 3\n  name: null\nempty: {}\n")
    root = tmp_path / "lightning_logs"
    assert is_csv(root)
    (one, points), (two, _) = read(root)
    assert (one.run_name, two.run_name, one.experiment) == ("version_0", "version_1", root.name)
    assert points == {
        "epoch": [(49, 0.0), (99, 0.0)],
        "train_loss": [(49, 0.5)],
        "val_loss": [(99, 0.4)],
    }
    assert one.params == {"lr": "0.1", "model/depth": "3", "model/name": "None", "empty": "{}"}
    root.rename(tmp_path / "moved")
    (tmp_path / "lightning_logs").mkdir()
    (tmp_path / "moved").rename(tmp_path / "lightning_logs" / "lightning_logs")
    assert [run.run_id for run, _ in read(root)] == [one.run_id, two.run_id]


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: [",
        "a: " + "[" * 5000,
        "a: " + "x" * 2**20,
        "{a: &a {b: 1, c: 1}, d: &d {"
        + ", ".join(f"k{i}: *a" for i in range(200))
        + "}, e: {"
        + ", ".join(f"k{i}: *d" for i in range(200))
        + "}}",
        "\x00",
    ],
    ids=["object", "broken", "deep", "long", "aliases", "control"],
)
def test_hostile_hparams(tmp_path: Path, text: str) -> None:
    write(tmp_path / "metrics.csv", "step,loss\n0,1\n")
    write(tmp_path / "hparams.yaml", text)
    problems: list[str] = []
    ((run, points),) = read(tmp_path / "metrics.csv", problems)
    assert points == {"loss": [(0, 1.0)]}
    assert run.params == {}
    assert "hparams.yaml was left out" in problems[0]


def test_histories_of_several_runs(tmp_path: Path) -> None:
    path = write(
        tmp_path / "trackio.csv",
        f"timestamp,run_name,step,loss,dataset,note\n"
        f"1700000000,a,0,0.5,iris,x\n1700000001,{ID},0,0.6,iris,\n1700000002.5,a,1,0.4,iris,y\n",
    )
    problems: list[str] = []
    (a, points), (b, others) = read(path, problems)
    assert (a.run_name, a.start_time, a.end_time) == ("a", 1_700_000_000_000, 1_700_000_002_500)
    assert points == {"loss": [(0, 0.5), (1, 0.4)]}
    assert others == {"loss": [(0, 0.6)]}
    assert b.run_id == ID
    assert a.params == b.params == {"dataset": "iris"}
    assert problems == [
        f"{path}: the texts of the column 'note' were left out, because they differ from row to"
        " row."
    ]


def test_kinds_may_be_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "epoch,lr\n3,0.1\n4,0.2\n")
    assert len(read(path)) == 1
    runs = read(path, kind="runs")
    assert [(run.params, points) for run, points in runs] == [
        ({"epoch": "3"}, {"lr": [(0, 0.1)]}),
        ({"epoch": "4"}, {"lr": [(0, 0.2)]}),
    ]
    other = write(tmp_path / "b.csv", "loss\n0.5\n0.4\n")
    assert len(read(other)) == 2
    assert read(other, kind="history")[0][1] == {"loss": [(0, 0.5), (0, 0.4)]}


def test_bad_rows_are_told_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        b"\xef\xbb\xbfstep\tloss\tloss\ta\n0\t0.5\t9\tx\n1\t0.25\n\n2\tbroken\t9\tx\nx\t1\t9\tx\n"
        b"3\t\xff\t9\tx\n4\t0.125\t9\tx\n5.5\t1\t9\tx\n6\t" + b"1" * 131073 + b"\t9\tx\n"
        b"7\t123456789012345678901234567890\t9\tx\n8\t0.",
    )
    problems: list[str] = []
    ((run, points),) = read(path, problems)
    assert points == {"loss": [(0, 0.5), (4, 0.125), (7, 1.2345678901234568e29)]}
    assert run.params == {"a": "x"}
    assert [problem.removeprefix(str(path)) for problem in problems] == [
        ": of the columns 'loss' only the first one was read.",
        ", line 3: it was left out, because it has 2 cells.",
        ", line 5: 'broken' in the column 'loss' is no number.",
        ", line 6: it was left out, because its step is no whole number.",
        ", line 7: it was left out, because it is not UTF-8.",
        ", line 9: it was left out, because its step is no whole number.",
        ", line 10: it was left out, because field larger than field limit (131072).",
        ", line 12: it was left out, because it has 2 cells.",
    ]
    many = write(tmp_path / "b.csv", "run_id,metrics.a\n" + f"{ID},x\n" * 99)
    problems = []
    assert len(read(many, problems)) == 1
    assert len(problems) == 21
    assert problems[0].endswith("line 2: the metric 'a' was left out: 'x' is no number.")
    assert problems[1].endswith(f"because there was a run {ID} before.")
    assert "with 79 more cells or lines" in problems[-1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no first row"),
        (b"\n\n", "has no first row"),
        (b",,\n1,2,3\n", "has no first row"),
        ("a,b\n".encode("utf-16"), "is UTF-16"),
        (b"\xff\xfa,b\n1,2\n", "has no first row"),
    ],
)
def test_files_that_are_none(tmp_path: Path, data: bytes, message: str) -> None:
    problems: list[str] = []
    assert read(write(tmp_path / "a.csv", data), problems) == []
    assert message in "".join(problems)


def test_which_files_are_csv(tmp_path: Path) -> None:
    assert is_csv(write(tmp_path / "a.CSV", "a\n1\n"))
    assert not is_csv(write(tmp_path / "b.txt", "a\n1\n"))
    assert not is_csv(tmp_path)
    assert not is_csv(tmp_path / "absent.csv")
    problems: list[str] = []
    assert read(tmp_path / "absent.csv", problems) == []
    assert "cannot be read" in problems[0]


def test_many_rows_are_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtrack.transfer.imports.csv_history._POINTS", 100)
    lines = [f"{i % 3},{i},{i / 7!r},{-i}" for i in range(1000)]
    path = write(tmp_path / "a.csv", "run,step,a,b\n" + "\n".join(lines))
    found = {run.run_name: points for run, points in read(path)}
    assert found["1"]["b"] == [(i, float(-i)) for i in range(1, 1000, 3)]
    assert found["2"]["a"] == [(i, i / 7) for i in range(2, 1000, 3)]


def test_numbers_and_times(tmp_path: Path) -> None:
    rows = Rows(write(tmp_path / "a.csv", "a,b\n"), [])
    texts = ("1", " -1.5e-3 ", ".5", "5.", "+inf", "Infinity", "NaN")
    assert repr([rows.number(text) for text in texts]) == repr(
        [1.0, -0.0015, 0.5, 5.0, math.inf, math.inf, math.nan]
    )
    for text in ("", "1_000", "0x10", "1,5", "\u0663", "True", "1e", "--1"):
        assert rows.number(text) is None
    assert time_of("1e300") is None
    assert time_of("nan") is None
    assert time_of("2023-11-14 22:13:20") == 1_700_000_000_000
    assert time_of("9999-12-31 23:59:59") is None


def test_rows_keep_their_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "name,acc\na,0.5\nb,0.6\na,0.7\n")
    before: list[ForeignRun] = [run for run, _ in read(path)]
    write(path, "name,acc,new\na,0.5,\nb,0.6,\na,0.7,\nc,0.8,1\n")
    after = [run.run_id for run, _ in read(path)]
    assert after[:3] == [run.run_id for run in before]
