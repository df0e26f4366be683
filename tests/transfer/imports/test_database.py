"""MLflow's databases, made by hand: of other times, damaged, and hostile."""

from __future__ import annotations

import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nbtrack.errors import InvalidParameterError, NbtrackError, NotFoundError, StoreError
from nbtrack.tracking import Client
from tests.transfer.imports.stores import MODEL, OTHER, RUN, SCHEMA_1, database, files, insert


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return database(tmp_path / "store" / "mlflow.db")


def test_a_run_comes_as_it_is(client: Client, store: Path) -> None:
    insert(store, "params", run_uuid=RUN, key="lr", value="0.1")
    insert(store, "tags", run_uuid=RUN, key="mlflow.parentRunId", value=OTHER)
    for step, value, is_nan in ((3, 0.5, 0), (1, 0.0, 1), (2, 1.7976931348623157e308, 0)):
        insert(
            store,
            "metrics",
            run_uuid=RUN,
            key="loss",
            value=value,
            step=step,
            timestamp=5,
            is_nan=is_nan,
        )
    files(store.parent, {f"mlruns/7/{RUN}/artifacts/a.txt": b"a"})
    report = client.import_runs(f"sqlite:///{store}")
    assert (report.added, report.experiments, report.problems) == ([RUN], ["wine"], [])
    run = client.get_run(RUN)
    assert (run.info.run_name, run.info.user_id, run.info.status) == ("first", "ada", "FINISHED")
    assert run.info.parent_run_id == OTHER
    assert run.data.params == {"lr": "0.1"}
    assert run.data.metrics == {"loss": 0.5}
    values = [(m.step, m.value) for m in client.get_metric_history(RUN, "loss")]
    assert values[1:] == [(2, 1.7976931348623157e308), (3, 0.5)]
    assert math.isnan(values[0][1])
    assert client.workspace.artifacts.read(RUN, "a.txt") == b"a"
    assert not client.import_runs(store).changed


def test_a_database_of_mlflow_0_9(client: Client, tmp_path: Path) -> None:
    store = database(tmp_path / "mlflow.db", SCHEMA_1)
    insert(store, "params", run_uuid=RUN, key="lr", value="0.1")
    for run_id in (OTHER, RUN):
        insert(store, "metrics", run_uuid=run_id, key="loss", value=0.5, timestamp=5)
        insert(store, "metrics", run_uuid=run_id, key="acc", value=0.25, timestamp=5)
        insert(store, "metrics", run_uuid=run_id, key="loss", value=0.125, timestamp=6)
    assert client.import_runs(store).problems == []
    run = client.get_run(RUN)
    assert run.data.params == {"lr": "0.1"}
    assert run.data.metrics == {"loss": 0.125, "acc": 0.25}
    assert len(client.get_metric_history(RUN, "loss")) == 2


def test_what_nbtrack_has_no_place_for_is_told(client: Client, store: Path) -> None:
    insert(store, "trace_info", request_id="t", experiment_id=7, timestamp_ms=1, status="OK")
    insert(store, "registered_models", name="prompt")
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    insert(store, "registered_model_tags", name="prompt", **tag)
    insert(
        store,
        "logged_models",
        model_id=MODEL,
        experiment_id=7,
        name="gone",
        artifact_location="",
        creation_timestamp_ms=1,
        last_updated_timestamp_ms=1,
        status=2,
        lifecycle_stage="deleted",
    )
    told = "\n".join(client.import_runs(store).problems)
    assert "1 traces" in told
    assert "1 prompts" in told
    assert "1 logged models" in told
    assert client.search_registered_models() == []


def test_names_of_other_workspaces_are_told_apart(client: Client, store: Path) -> None:
    insert(store, "experiments", experiment_id=8, name="wine", workspace="team")
    for workspace in ("default", "team"):
        insert(store, "registered_models", name="reg", workspace=workspace, creation_time=1)
        insert(
            store,
            "model_versions",
            name="reg",
            workspace=workspace,
            version=1,
            creation_time=1,
            source=f"runs:/{RUN}/model",
            run_id=RUN,
        )
    assert client.import_runs(store).problems == []
    assert {e.name for e in client.search_experiments()} >= {"wine", "team.wine"}
    models = {m.name: m.versions[0].source for m in client.search_registered_models()}
    assert models == dict.fromkeys(("reg", "team.reg"), f"runs:/{RUN}/model")


def test_a_model_without_a_run_gets_one(client: Client, store: Path) -> None:
    insert(
        store,
        "logged_models",
        model_id=MODEL,
        experiment_id=7,
        name="alone",
        artifact_location=f"mlruns/7/models/{MODEL}/artifacts",
        creation_timestamp_ms=1,
        last_updated_timestamp_ms=2,
        status=2,
    )
    files(store.parent, {f"mlruns/7/models/{MODEL}/artifacts/MLmodel": "flavors: {sklearn: {}}\n"})
    insert(store, "registered_models", name="reg", creation_time=1)
    insert(
        store,
        "model_versions",
        name="reg",
        version=1,
        creation_time=1,
        source=f"models:/{MODEL}",
    )
    assert client.import_runs(store).problems == []
    run = client.get_run(MODEL.removeprefix("m-"))
    assert (run.info.run_name, run.info.experiment_name) == ("alone", "wine")
    assert run.data.tags == {"nbtrack.import.source": f"models:/{MODEL}"}
    assert run.models[0].artifact_path == "alone"
    (reg,) = client.search_registered_models()
    assert reg.versions[0].source == f"runs:/{run.info.run_id}/alone"
    assert client.workspace.artifacts.list(run.info.run_id)[0].path == "alone/MLmodel"


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("metrics", {"key": "m", "value": "x", "timestamp": 1, "step": 0, "is_nan": 0}),
        ("metrics", {"key": "m", "value": 1.0, "timestamp": "x", "step": 0, "is_nan": 0}),
        ("metrics", {"key": "m", "value": 1.0, "timestamp": 1, "step": b"x", "is_nan": 0}),
        ("metrics", {"key": "m", "value": 1.0, "timestamp": 1, "step": 1e300, "is_nan": 0}),
    ],
)
def test_a_run_that_cannot_be_read_does_not_keep_the_others_away(
    client: Client, store: Path, table: str, values: dict[str, object]
) -> None:
    insert(store, "runs", run_uuid=OTHER, experiment_id=7, status="RUNNING", start_time=3)
    insert(store, table, run_uuid=RUN, **values)
    report = client.import_runs(store)
    assert report.added == [OTHER]
    assert len(report.problems) == 1
    assert "first" in report.problems[0]


def test_odd_texts_are_texts(client: Client, store: Path) -> None:
    insert(store, "params", run_uuid=RUN, key=b"bytes\xff", value=b"\xfe\x00")
    insert(store, "params", run_uuid=RUN, key="nul\0l", value="x" * 100_000)
    insert(store, "tags", run_uuid=RUN, key="number", value=None)
    report = client.import_runs(store)
    assert report.added == [RUN]
    run = client.get_run(RUN)
    assert len(run.data.params) == 2
    assert run.data.tags["number"] == ""


def test_the_file_is_only_read(client: Client, store: Path) -> None:
    with closing(sqlite3.connect(store)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
    before = store.read_bytes()
    client.import_runs(store)
    assert store.read_bytes() == before
    assert list(store.parent.iterdir()) == [store]


def test_the_log_of_somebody_who_writes_is_read_and_left_alone(client: Client, store: Path) -> None:
    with closing(sqlite3.connect(store)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("UPDATE runs SET name = 'in the log'")
        conn.commit()
        client.import_runs(store)
        assert client.get_run(RUN).info.run_name == "in the log"
        assert store.with_name("mlflow.db-wal").exists()
        conn.execute("UPDATE runs SET name = 'still works'")
        conn.commit()


def test_a_file_that_is_being_changed_is_not_read_half(client: Client, store: Path) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        conn.execute("UPDATE runs SET name = 'half'")
        with pytest.raises(StoreError, match="locked"):
            client.import_runs(store, format="mlflow.db")
        conn.execute("ROLLBACK")


def test_a_view_does_not_stand_for_a_table(client: Client, store: Path) -> None:
    with closing(sqlite3.connect(store)) as conn:
        conn.execute("DROP TABLE params")
        conn.execute(
            "CREATE VIEW params AS WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT key + 1"
            " FROM n) SELECT key, key AS value, 'x' AS run_uuid FROM n"
        )
        conn.commit()
    assert client.import_runs(store).added == [RUN]


def test_what_is_no_store_is_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database")
    for source, error in (
        (tmp_path / "absent.db", NotFoundError),
        (tmp_path / "text.db", InvalidParameterError),
        (tmp_path, InvalidParameterError),
        (client.path, NotFoundError),
        ("http://localhost:5000", InvalidParameterError),
        ("postgresql://me:secret@host/db", InvalidParameterError),
    ):
        with pytest.raises(error) as raised:
            client.import_runs(source)
        assert raised.value.hint
    with pytest.raises(StoreError):
        client.import_runs(tmp_path / "text.db", format="mlflow.db")
    with pytest.raises(InvalidParameterError, match="no kind of archive"):
        client.import_runs(tmp_path / "text.db", format="nosuch")


def test_a_damaged_file_is_an_error_and_leaves_whole_runs(client: Client, store: Path) -> None:
    for i in range(200):
        insert(store, "params", run_uuid=RUN, key=f"p{i}", value="x" * 200)
    data = bytearray(store.read_bytes())
    for place in range(len(data) // 2, len(data), 512):
        data[place : place + 200] = os.urandom(200)
    store.write_bytes(data)
    try:
        report = client.import_runs(store)
    except NbtrackError:  # found when it is opened
        return
    assert report.problems
