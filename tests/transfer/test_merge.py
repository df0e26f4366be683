"""Runs come from another file: once, whole, and as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from nbtrack import db, migrations
from nbtrack.errors import (
    CorruptDatabaseError,
    ForeignDatabaseError,
    InvalidParameterError,
    NewerSchemaError,
    NotFoundError,
)
from nbtrack.tracking import Client
from nbtrack.transfer import MergedVersion, MergeReport
from nbtrack.types import RunQuery

from .archive import content, copy, execute, fill


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Client]:
    client = Client(tmp_path / "far.db")
    yield client
    client.workspace.writer.close()


def test_everything_comes(client: Client, far: Client) -> None:
    run_id = fill(far)
    far.create_experiment("empty", artifact_location="/data", tags={"a": "1"})
    report = client.merge(far.path)
    assert report.added == [run_id]
    assert report.files > 3
    assert report.bytes > 0
    assert sorted(report.experiments) == ["empty", "far"]
    assert report.versions == [MergedVersion("churn", 1, 1)]
    assert report.conflicts == report.problems == []
    assert content(client.path) == content(far.path)
    assert client.workspace.store.param_history(run_id, "lr") == ["0.1", "0.2"]
    assert client.load_model("models:/churn/1") == {"any": "object"}  # this user's seal holds


def test_what_is_read_is_the_same(client: Client, far: Client) -> None:
    fill(client, "here")  # so that numbers differ
    run_id = fill(far, "there")
    client.merge(far.path)
    here, there = client.workspace.store, far.workspace.store
    assert replace(here.get_run_detail(run_id), run=None) == replace(
        there.get_run_detail(run_id), run=None
    )
    ours, theirs = here.get_run(run_id), there.get_run(run_id)
    assert ours.info == theirs.info
    assert (ours.data.params, ours.data.tags) == (theirs.data.params, theirs.data.tags)
    assert ours.data.summaries["loss"] == theirs.data.summaries["loss"]
    (mine,), (other,) = (s.metric_series([run_id], ["loss"]) for s in (here, there))
    assert list(mine.values) == list(other.values)
    assert list(mine.timestamps) == list(other.timestamps)
    query = RunQuery(run_ids=(run_id,))  # the rows that are sealed
    assert here.run_table(query).params == there.run_table(query).params


def test_again_changes_nothing(client: Client, far: Client) -> None:
    fill(far)
    client.merge(far.path)
    client.flush()
    before = content(client.path)
    assert client.merge(far.path) == MergeReport(unchanged=1)
    assert not client.merge(far.path).changed
    assert content(client.path) == before


def test_both_have_runs(client: Client, far: Client) -> None:
    fill(client, "here")
    fill(far, "there")
    report = client.merge(far.path)
    assert report.experiments == []  # one of that name is here
    assert report.versions == [MergedVersion("churn", 2, 1)]
    assert {r.info.run_name for r in client.search_runs(experiment_names=["far"])} == {
        "here",
        "there",
    }
    assert client.merge(far.path) == MergeReport(unchanged=1)
    with closing(sqlite3.connect(client.path)) as conn:
        events = conn.execute("SELECT event, version FROM model_events").fetchall()
    assert events == [("registered", 1), ("merged", 2)]


def test_numbers_of_versions_stay_where_they_can(client: Client, far: Client) -> None:
    fill(far)
    execute(
        far.path,
        "PRAGMA foreign_keys = OFF",
        "UPDATE model_versions SET version = 3",
        "UPDATE registered_models SET last_version = 3",
        "INSERT INTO model_aliases VALUES ('churn', 'champion', 3)",
    )
    assert client.merge(far.path).versions == [MergedVersion("churn", 3, 3)]
    assert client.workspace.registry.get_version("churn", "@champion").version == 3
    fill(client, "other")
    assert client.workspace.registry.get_version("churn", "latest").version == 4


def test_an_alias_stays_where_it_is(client: Client, far: Client) -> None:
    fill(client, "here")
    fill(far, "there")
    for path in (client.path, far.path):
        execute(path, "INSERT INTO model_aliases VALUES ('churn', 'champion', 1)")
    report = client.merge(far.path)
    assert len(report.conflicts) == 1
    assert client.workspace.registry.get_version("churn", "@champion").version == 1


def test_what_is_said_of_models_later(client: Client, far: Client, tmp_path: Path) -> None:
    run_id = fill(far)
    client.merge(far.path)
    assert client.get_run(run_id).models[0].tags == {"who": "of it"}
    execute(
        client.path,
        "INSERT INTO registered_model_tags VALUES ('churn', 'ours', 'kept')",
        "INSERT INTO model_version_tags VALUES ('churn', 1, 'ours', 'kept')",
        "UPDATE model_versions SET description = ''",
    )
    assert client.merge(far.path) == MergeReport(unchanged=1, models=["churn"])  # what was lacking
    execute(
        far.path,
        "UPDATE registered_models SET description = 'later', last_updated_timestamp ="
        " last_updated_timestamp + 5000",
        "UPDATE model_versions SET current_stage = 'Production', description = 'later',"
        " last_updated_timestamp = 9",
        "INSERT OR REPLACE INTO model_version_tags VALUES ('churn', 1, 'checked', 'again')",
        "UPDATE models SET status = 'LOGGED_MODEL_UPLOAD_FAILED', last_updated_ms = 6",
        "INSERT INTO model_aliases VALUES ('churn', 'champion', 1)",
    )
    early = copy(client.path, tmp_path / "early.db")
    report = client.merge(far.path)
    assert report == MergeReport(updated=[run_id], models=["churn"])
    registry = client.workspace.registry
    version = registry.get_version("churn", "@champion")
    assert (version.current_stage, version.description) == ("Production", "later")
    assert version.tags == {"checked": "again", "ours": "kept"}
    assert version.last_updated_timestamp == 9
    (model,) = registry.search_models()
    assert model.description == "later"
    assert model.tags == {"team": "sales", "ours": "kept"}
    assert client.get_run(run_id).models[0].status == "LOGGED_MODEL_UPLOAD_FAILED"
    with closing(sqlite3.connect(client.path)) as conn:
        events = conn.execute("SELECT event, details FROM model_events").fetchall()
    assert events[1:] == [
        ("transitioned", '{"from": "Staging", "to": "Production", "by": "merge"}')
    ]
    # What is older changes nothing; nor does the same again.
    for path in (early, far.path):
        assert client.merge(path) == MergeReport(unchanged=1)


def test_what_is_said_of_models_at_the_same_time(client: Client, far: Client) -> None:
    run_id = fill(far)
    client.merge(far.path)
    execute(
        far.path,
        "UPDATE registered_models SET description = 'theirs'",
        "UPDATE registered_model_tags SET value = 'theirs'",
        "UPDATE model_versions SET current_stage = 'Archived'",
        "UPDATE model_version_tags SET value = 'theirs'",
        "UPDATE models SET name = 'theirs'",
        "UPDATE logged_model_params SET value = 'theirs'",
        "UPDATE run_models SET step = step + 1",
    )
    before = content(client.path)
    report = client.merge(far.path)
    assert not report.changed
    assert content(client.path) == before
    told = "\n".join(report.conflicts)
    assert len(report.conflicts) == 8
    for part in (
        "description of the model 'churn'",
        "tag 'team' of the model 'churn'",
        "current stage of version 1 of the model 'churn'",
        "tag 'checked' of version 1 of the model 'churn'",
        "name of the model ",
        "param 'depth' of the model ",
        "step of the input model m-elsewhere of the run first",
    ):
        assert part in told
    assert run_id[:8] in told


def test_a_registered_model_without_versions(client: Client, far: Client, tmp_path: Path) -> None:
    fill(far)
    execute(far.path, "INSERT INTO registered_models VALUES ('empty', 1, 2, 0, 'nothing yet')")
    assert client.merge(far.path).models == ["churn", "empty"]
    assert content(client.path) == content(far.path)
    far.export("first", tmp_path / "out.db")
    assert "empty" not in repr(content(tmp_path / "out.db"))


def test_a_run_that_went_on(client: Client, far: Client, tmp_path: Path) -> None:
    run = far.start_run("long")
    run.log_params({"a": 1})
    for step in range(300):
        run.log_metric("loss", step, step=step)
    run.log_text("early", "notes.txt")
    far.flush()
    early = copy(far.path, tmp_path / "early.db")
    client.merge(early)
    for step in range(300, 20_000):
        run.log_metric("loss", step, step=step)
    run.log_metric("new", 1.0)
    run.log_params({"a": 2, "b": 3})
    run.set_tags({"mlflow.runName": "longer"})
    run.log_text("late", "notes.txt")
    run.end()
    assert client.merge(far.path).updated == [run.run_id]
    assert content(client.path) == content(far.path)
    # What is older changes nothing.
    assert client.merge(early) == MergeReport(unchanged=1)
    assert content(client.path) == content(far.path)
    found = client.get_run(run.run_id)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "longer")


def test_where_both_went_on_ours_is_kept(client: Client, far: Client) -> None:
    run_id = fill(far)
    client.merge(far.path)
    for other, value in ((client, 1.0), (far, 2.0)):
        other.log_metric(run_id, "loss", value, step=1000)
        other.set_tag(run_id, "who", str(value))
        other.flush()
    execute(far.path, "UPDATE params SET value = 'poly' WHERE key = 'kernel'")
    report = client.merge(far.path)
    assert report.updated == report.problems == []
    assert len(report.conflicts) == 3
    assert "metric 'loss' of the run first" in "".join(report.conflicts)
    found = client.get_run(run_id).data
    assert found.metrics["loss"] == 1.0
    assert found.params["kernel"] == "rbf"
    assert found.tags["who"] == "1.0"


def test_what_is_added_here_stays(client: Client, far: Client) -> None:
    run_id = fill(far)
    client.merge(far.path)
    client.log_metric(run_id, "checked", 1.0)
    client.set_tag(run_id, "note", "good")
    assert client.merge(far.path) == MergeReport(unchanged=1)
    assert client.get_run(run_id).data.metrics["checked"] == 1.0


def test_a_rehearsal_writes_nothing(client: Client, far: Client) -> None:
    fill(client, "here")
    fill(far, "there")
    before = content(client.path)
    planned = client.merge(far.path, dry_run=True)
    assert content(client.path) == before
    assert planned == client.merge(far.path)


def test_an_experiment_in_the_trash(client: Client, far: Client) -> None:
    fill(far)
    client.delete_experiment(client.create_experiment("far"))
    report = client.merge(far.path)
    assert len(report.added) == 1
    assert "'far' is in the trash here" in report.conflicts[0]


def test_the_source_is_not_written(client: Client, far: Client, tmp_path: Path) -> None:
    fill(far)
    there = copy(far.path, tmp_path / "there.db")
    before = there.read_bytes()
    client.merge(there)
    assert there.read_bytes() == before


def test_a_file_of_an_older_schema(client: Client, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with pytest.MonkeyPatch.context() as patch:
        for module in (db, migrations):
            patch.setattr(module, "LATEST", 1)
        patch.setattr(migrations, "STEPS", migrations.STEPS[:1])
        db.connect_writer(old).close()
    execute(
        old,
        "INSERT INTO runs (run_id, run_name, experiment_id, status, start_time, user_id)"
        " VALUES ('0123456789abcdef0123456789abcdef', 'old', 0, 'FINISHED', 1, 'me')",
    )
    before = old.read_bytes()
    assert client.merge(old).problems == []
    assert client.get_run("old").info.status == "FINISHED"
    assert old.read_bytes() == before


def test_files_that_cannot_be_merged(client: Client, tmp_path: Path) -> None:
    fill(client)
    with pytest.raises(InvalidParameterError, match="into itself"):
        client.merge(client.path)
    link = tmp_path / "link.db"
    link.symlink_to(client.path)
    with pytest.raises(InvalidParameterError, match="into itself"):
        client.merge(link)
    with pytest.raises(NotFoundError, match="no database"):
        client.merge(tmp_path / "absent.db")
    with pytest.raises(InvalidParameterError, match="is a directory"):
        client.merge(tmp_path)
    foreign, newer = tmp_path / "foreign.db", copy(client.path, tmp_path / "newer.db")
    execute(foreign, "CREATE TABLE t (a)")
    with pytest.raises(ForeignDatabaseError):
        client.merge(foreign)
    execute(newer, "PRAGMA user_version = 999")
    with pytest.raises(NewerSchemaError):
        client.merge(newer)
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database at all" * 1000)
    with pytest.raises(CorruptDatabaseError):
        client.merge(damaged)


def test_a_view_does_not_stand_for_a_table(client: Client, far: Client, tmp_path: Path) -> None:
    fill(far)
    bad = copy(far.path, tmp_path / "bad.db")
    execute(
        bad,
        "PRAGMA legacy_alter_table = ON",
        "ALTER TABLE tags RENAME TO others",
        "CREATE VIEW tags AS WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n)"
        " SELECT 1 AS run_no, 'a' AS key, 'b' AS value FROM n",
    )
    with pytest.raises(CorruptDatabaseError, match="no table tags"):
        client.merge(bad)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param("UPDATE artifacts SET path = '../../evil' WHERE path LIKE 'n%'", id="path"),
        pytest.param("UPDATE blob_chunks SET data = x'00'", id="contents"),
        pytest.param("UPDATE blobs SET size_bytes = 1 WHERE encoding = 'zstd'", id="size"),
        pytest.param("UPDATE blobs SET encoding = 'raw'", id="encoding"),
        pytest.param("DELETE FROM blob_chunks", id="no contents"),
        pytest.param("UPDATE blob_chunks SET data = zeroblob(2000000)", id="long chunk"),
        pytest.param("UPDATE metric_chunks SET data = x'00'", id="chunk"),
        pytest.param("UPDATE metrics SET count = count + 1", id="count of points"),
        pytest.param("UPDATE runs SET status = 'DANCING'", id="status"),
        pytest.param("UPDATE runs SET lifecycle_stage = 'undead'", id="stage"),
        pytest.param("UPDATE runs SET start_time = 1 << 62", id="time"),
        pytest.param("UPDATE runs SET run_id = '../x'", id="id"),
        pytest.param("UPDATE sessions SET environment = '[]'", id="environment"),
        pytest.param("UPDATE models SET artifact_path = '/abs'", id="path of a model"),
        pytest.param("UPDATE models SET status = 'DANCING'", id="status of a model"),
        pytest.param("UPDATE models SET last_updated_ms = -1", id="time of a model"),
        pytest.param("UPDATE run_models SET model_id = '../x'", id="model that was used"),
        pytest.param("UPDATE run_models SET role = 'x' WHERE role = 'input'", id="role"),
    ],
)
def test_what_is_harmful_is_left_out(
    client: Client, far: Client, tmp_path: Path, harm: str
) -> None:
    run_id = fill(client, "mine")
    fill(far, "theirs")
    bad = copy(far.path, tmp_path / "bad.db")
    execute(bad, "PRAGMA foreign_keys = OFF", harm)
    report = client.merge(bad)
    assert report.added == report.versions == []
    assert any("run theirs was left out" in problem for problem in report.problems)
    assert [r.info.run_id for r in client.search_runs(experiment_names=["far"])] == [run_id]
    content(client.path)
    # Nothing of it is in the way of the right one.
    assert len(client.merge(far.path).added) == 1


@pytest.mark.parametrize(
    "harm",
    [
        "model_versions SET current_stage = 'Moved'",
        "model_versions SET status = 'DANCING'",
        "model_versions SET last_updated_timestamp = 1 << 62",
        "model_versions SET model_id = '../x'",
        "registered_models SET last_updated_timestamp = -1",
    ],
)
def test_a_harmful_version_is_left_out(
    client: Client, far: Client, tmp_path: Path, harm: str
) -> None:
    run_id = fill(far)
    bad = copy(far.path, tmp_path / "bad.db")
    execute(bad, f"UPDATE {harm}")
    report = client.merge(bad)
    assert (report.added, report.versions, report.models) == ([run_id], [], [])
    assert "The model 'churn' was left out" in report.problems[0]
    assert content(client.path)["registered_models"] == []
    assert len(client.merge(far.path).versions) == 1


def test_a_cell_does_not_stand_for_another_one(client: Client, far: Client, tmp_path: Path) -> None:
    fill(far)
    bad = copy(far.path, tmp_path / "bad.db")
    execute(
        bad,
        "INSERT INTO cells VALUES ('sha256:ours', 'evil()')",
        "INSERT INTO cell_executions SELECT 'e1', session_id, 'sha256:ours', NULL, 1, 1, 2, 'ok'"
        " FROM sessions",
    )
    client.merge(bad)
    with closing(sqlite3.connect(client.path)) as conn:
        digests = [digest for (digest,) in conn.execute("SELECT digest FROM cells")]
    assert digests
    assert "sha256:ours" not in digests


def test_a_large_file_comes_in_chunks(client: Client, far: Client) -> None:
    import random

    data = random.Random(1).randbytes(3 * 2**20 + 7)
    with far.start_run("large") as run:
        run.log_params({"a": 1})
    far.workspace.artifacts.put(run.run_id, {"raw.bin": data, "even.bin": bytes(2**22), "no": b""})
    far.flush()
    client.merge(far.path)
    assert client.workspace.artifacts.read(run.run_id, "raw.bin") == data
    assert client.workspace.artifacts.read(run.run_id, "even.bin") == bytes(2**22)
    assert client.workspace.artifacts.read(run.run_id, "no") == b""
