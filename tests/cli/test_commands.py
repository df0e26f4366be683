"""Every command: what it prints, as text and as JSON, and how it fails."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import nbtrack
from nbtrack import migrations
from nbtrack.datasource import DataSource
from nbtrack.db import connect_writer
from nbtrack.report import page
from nbtrack.settings import Settings
from nbtrack.tracking import Client

from .calling import fail, load, run, succeed

# -- runs


def test_list_of_runs(filled: Client) -> None:
    lines = succeed("--db", filled.path, "runs", "list").splitlines()
    assert lines[0].split()[:6] == ["id", "name", "estimator", "status", "started", "duration"]
    assert len(lines) == 3
    assert "second" in lines[1]
    assert {"first", "KMeans", "FINISHED", "0.9733"} <= set(lines[2].split())
    assert all(line.isprintable() for line in lines)
    assert len(succeed("--db", filled.path, "runs", "list", "-n", 1).splitlines()) == 2
    only = succeed("--db", filled.path, "runs", "list", "--experiment", "other")
    assert "first" not in only


def test_list_of_runs_as_json(filled: Client) -> None:
    found = load(succeed("--db", filled.path, "runs", "list", "--json"))
    assert [r["experiment"] for r in found] == ["other", "Default"]
    assert found[0]["metrics"]["nan"]["last"] == "NaN"
    assert found[1]["params"] == {"a": "1"}


def test_no_runs(client: Client) -> None:
    client.start_run("x")
    client.flush()
    conn = sqlite3.connect(client.path)
    conn.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
    conn.commit()
    conn.close()
    assert len(succeed("--db", client.path, "runs", "list").splitlines()) == 1
    assert load(succeed("--db", client.path, "runs", "list", "--json")) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["runs", "list"], "There are no such runs."),
        (["runs", "list", "--trash"], "There are no such runs."),
        (["experiments", "list", "--view", "deleted_only"], "There are no such experiments."),
        (["models", "list"], "No model is registered yet"),
    ],
)
def test_nothing_to_show_says_what_to_do(client: Client, args: list[str], said: str) -> None:
    succeed("experiments", "create", "empty", "--db", client.path)
    (line,) = succeed(*args, "--db", client.path).splitlines()
    assert line.startswith(said)
    assert "nbtrack" in line or "--view all" in line
    assert load(succeed(*args, "--db", client.path, "--json")) == []


def test_show_a_run(filled: Client) -> None:
    run_id = filled.get_run("first").info.run_id
    for text in ("first", run_id, run_id[:6]):
        for args in (["show", "--json"], ["describe"], ["describe", "--json"]):
            details = load(succeed("--db", filled.path, "runs", *args, text))
            assert details["run"]["run_id"] == run_id
        lines = succeed("--db", filled.path, "runs", "show", text).splitlines()
        assert lines[0] == f"run         first ({run_id})"
        assert ["acc", "0.9733", "0.9733", "0.9733", "1"] in [line.split() for line in lines]
        assert all(line.isprintable() for line in lines)


def test_the_list_has_the_metrics_that_tell_most(client: Client) -> None:
    with client.start_run("a") as run:
        for key in ("fit_time_s", "mean_fit_time", "n_iter", "training_score", "z_score_X_test"):
            run.log_metric(key, 0.5)
    client.flush()
    assert "z_score_X_test" in succeed("--db", client.path, "runs", "list").splitlines()[0]


def test_candidates_stand_below_their_search(client: Client) -> None:
    notice = {"nbtrack.notice.leakage": "3 of the 9 rows of X_test were in the training data."}
    with client.start_run("search", tags=notice) as search:
        for name in ("C=1", "C=2"):
            tags = {"nbtrack.candidate": "true"}
            with client.start_run(name, parent_run_id=search.run_id, tags=tags) as candidate:
                candidate.log_metrics({"mean_fit_time": 1, "mean_test_score": 0.25})
    client.flush()
    listed = succeed("--db", client.path, "runs", "list")
    assert "search" in listed
    assert "C=1" not in listed
    assert len(load(succeed("--db", client.path, "runs", "list", "--json"))) == 1
    found = succeed("--db", client.path, "runs", "list", "--filter", "metrics.mean_test_score > 0")
    assert "C=1" in found
    shown = succeed("--db", client.path, "runs", "show", "search").splitlines()
    assert "notice      3 of the 9 rows of X_test were in the training data." in shown
    (head,) = (line for line in shown if "estimator" in line)
    assert "mean_test_score" in head
    assert any("C=1" in line for line in shown[shown.index(head) :])


def test_a_server_tells_the_last_value_only(
    filled: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = DataSource(filled).run_details("first")
    details["run"]["metrics"]["acc"] |= {"min": float("nan"), "max": float("nan"), "count": 0}
    monkeypatch.setattr(DataSource, "run_details", lambda *_: details)
    lines = succeed("--db", filled.path, "runs", "show", "first").splitlines()
    assert ["acc", "0.9733", "–", "–", "–"] in [line.split() for line in lines]


# -- models


def test_models(filled: Client) -> None:
    said = succeed("--db", filled.path, "models", "register", "first", "iris")
    assert said == "Registered iris version 1.\n"
    lines = succeed("--db", filled.path, "models", "list").splitlines()
    assert lines[0].split() == ["model", "version", "run", "registered", "by"]
    assert lines[1].split()[:3] == ["iris", "1", "first"]
    (model,) = load(succeed("--db", filled.path, "models", "list", "--json"))
    assert (model["name"], model["versions"][0]["version"]) == ("iris", 1)
    shown = succeed("--db", filled.path, "models", "show", "iris").splitlines()
    assert shown[0] == "name         iris"
    assert shown[-1].split()[:3] == ["1", "None", "first"]
    shown = load(succeed("--db", filled.path, "models", "show", "iris", "--json"))
    versions = load(succeed("--db", filled.path, "models", "versions", "iris", "--json"))
    assert shown["versions"] == versions
    assert (versions[0]["version"], versions[0]["current_stage"]) == (1, "None")
    assert len(succeed("--db", filled.path, "models", "versions", "iris").splitlines()) == 2
    message = fail("--db", filled.path, "models", "show", "rose", status=3)
    assert message == "Error: There is no registered model 'rose'.\nhint: There is: iris.\n"


# -- the trash


def test_runs_in_the_trash(filled: Client) -> None:
    run_id = filled.get_run("first").info.run_id
    assert fail("--db", filled.path, "runs", "delete", "first", "unknown", status=3)  # all, or none
    said = succeed("--db", filled.path, "runs", "delete", run_id[:6])
    assert said == f"In the trash: first ({run_id}).\n"
    assert "first" not in succeed("--db", filled.path, "runs", "list")
    assert run_id in succeed("--db", filled.path, "runs", "list", "--trash")
    said = succeed("--db", filled.path, "runs", "restore", run_id)
    assert said == f"Restored: first ({run_id}).\n"
    assert "first" in succeed("--db", filled.path, "runs", "list")


def test_experiments(filled: Client) -> None:
    lines = succeed("--db", filled.path, "experiments", "list").splitlines()
    assert lines[0].split() == ["id", "name", "stage", "made"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["1", "other", "active"],
        ["0", "Default", "active"],
    ]
    assert succeed("--db", filled.path, "experiments", "delete", "other").startswith("In the trash")
    assert "second" in succeed("--db", filled.path, "runs", "list", "--trash")
    (found,) = load(
        succeed("--db", filled.path, "experiments", "list", "--view", "deleted_only", "--json")
    )
    assert (found["experiment_id"], found["lifecycle_stage"]) == ("1", "deleted")
    assert (
        succeed("--db", filled.path, "experiments", "restore", "1") == "Restored: other (id 1).\n"
    )
    assert "is active already" in fail("--db", filled.path, "experiments", "restore", "1", status=3)


def test_gc(filled: Client) -> None:
    succeed("--db", filled.path, "models", "register", "first", "iris")
    for name in ("Default", "other"):
        succeed("--db", filled.path, "experiments", "delete", name)
    size = filled.path.stat().st_size
    would = succeed("--db", filled.path, "gc", "--dry-run")
    assert would.startswith("Would delete: 1 run, 1 experiment, 0 artifacts, ")
    assert filled.path.stat().st_size == size
    assert "1 run," not in succeed("--db", filled.path, "gc", "--older-than", "1d")
    done = succeed("--db", filled.path, "gc")
    assert done == would.replace("Would delete", "Deleted")
    assert done.splitlines()[1].endswith("because it is version 1 of model 'iris'.")
    assert all(line.isprintable() for line in done.splitlines())


def test_db_check(filled: Client) -> None:
    said = succeed("--db", filled.path, "db", "check")
    assert said == f"{filled.path}: everything is as it was stored.\n"
    with closing(sqlite3.connect(filled.path)) as conn, conn:
        conn.execute("UPDATE artifacts SET path = char(27, 10) || path, digest = 'x\x1b'")
    result = run("--db", filled.path, "db", "check")
    assert result.exit_code == 1
    assert result.stderr == f"Error: {filled.path}: 7 problems.\n"
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert len(result.stdout.splitlines()) == 14


def test_db_backup_and_vacuum(filled: Client, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    assert succeed("--db", filled.path, "db", "backup", target).startswith(
        f"The backup is in {target} ("
    )
    assert "first" in succeed("--db", target, "runs", "list")
    assert "There is a file" in fail("--db", filled.path, "db", "backup", target)
    succeed("--db", filled.path, "db", "backup", target, "--force", "--no-verify")
    said = succeed("--db", filled.path, "db", "vacuum")
    assert said.startswith(f"{filled.path}: ")
    assert said.endswith(" now.\n")
    assert succeed("--db", filled.path, "db", "check")


def test_db_upgrade(workdir: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "STEPS", migrations.STEPS[:1])
        patch.setattr(migrations, "LATEST", 1)
        patch.setattr("nbtrack.db.LATEST", 1)
        connect_writer(workdir / "nbtrack.db").close()
    said = succeed("db", "upgrade")
    assert said == f"{workdir / 'nbtrack.db'}: schema 1, now {migrations.LATEST}.\n"
    done = load(succeed("db", "upgrade", "--json"))
    assert (done["before"], done["after"]) == (migrations.LATEST, migrations.LATEST)
    assert succeed("db", "upgrade").endswith(f": schema {migrations.LATEST}, as before.\n")
    assert "no database" in fail("db", "upgrade", "--db", "none.db", status=3)


# -- report and config


def test_report(filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_script", lambda: "draw()")
    monkeypatch.setattr(page, "__version__", "0")
    target = tmp_path / "out.html"
    said = succeed("--db", filled.path, "report", target, "--title", "Mine", "--run", "first")
    assert said.startswith(f"The report is in {target} (")
    text = target.read_text()
    assert "<title>Mine</title>" in text
    assert "second" not in text


def test_settings_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBTRACK_CARD", "line")
    said = succeed("config")
    assert "card = 'line'" in said
    for setting in Settings.table():
        assert f"{setting.name} = " in said
        assert f"Environment: {setting.env}" in said
        assert setting.help in said


def test_version_and_help() -> None:
    assert nbtrack.__version__ in succeed("--version")
    for args in ([], ["runs"], ["runs", "list"], ["experiments"], ["gc"], ["report"]):
        assert "Usage:" in succeed(*args, "-h")


# -- which database


def test_the_environment_names_the_database(
    filled: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NBTRACK_DB", str(filled.path))
    assert "first" in succeed("runs", "list")
    message = fail("--db", tmp_path / "other.db", "runs", "list", status=3)
    assert message.startswith(f"Error: There is no database {tmp_path / 'other.db'}.\nhint: Name")


# -- errors


@pytest.mark.parametrize(
    "args",
    [
        ["runs", "list"],
        ["runs", "show", "x"],
        ["models", "list"],
        ["models", "register", "x", "y"],
        ["report"],
        ["runs", "delete", "x"],
        ["runs", "restore", "x"],
        ["experiments", "list"],
        ["gc"],
        ["gc", "--dry-run"],
        ["db", "check"],
        ["db", "backup", "x.db"],
        ["db", "vacuum"],
    ],
)
def test_without_a_database(workdir: Path, args: list[str]) -> None:
    message = fail(*args, status=3)
    assert message.splitlines()[0] == f"Error: There is no database {workdir / 'nbtrack.db'}."
    assert message.splitlines()[1].startswith("hint: Name one by --db, or make it")
    assert list(workdir.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["runs", "show", "unknown"], "There is no run 'unknown'."),
        (["runs", "show", "%"], "There is no run '%'."),
        (["runs", "show", ""], "There is no run ''."),
        (["runs", "list", "--experiment", "none"], "There is no experiment 'none'."),
        (["models", "register", "first", "a/b"], "'a/b' is no name for a registered model."),
        (["models", "register", "unknown", "x"], "There is no run 'unknown'."),
        (["runs", "delete", "first", "unknown"], "There is no run 'unknown'."),
        (["experiments", "delete", "none"], "There is no experiment 'none'."),
        (["gc", "--older-than", "old"], "'old' is no age."),
        (["gc", "--run-ids", "first"], "There is no run 'first'."),
        (["gc", "--experiment-ids", "7"], "No Experiment with id=7 exists."),
        (["db", "backup", "no/folder/x.db"], "The directory of the backup"),
        (["report", "no/folder/x.html"], "The report"),
        (["report", "--run", "unknown"], "There is no run 'unknown'."),
    ],
)
def test_errors_are_a_sentence_and_a_hint(
    filled: Client, workdir: Path, args: list[str], message: str
) -> None:
    status = 3 if " no run " in message or " exists" in message or "no experiment" in message else 1
    lines = fail("--db", filled.path, *args, status=status).splitlines()
    assert lines[0].startswith(f"Error: {message}")
    assert len(lines) == 2
    assert lines[1].startswith("hint: ")


def test_a_file_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("my notes " * 100)
    message = fail("--db", path, "runs", "list", status=4)
    assert message.startswith(f"Error: {path} is no SQLite database, or is damaged.\nhint: Move")
    assert path.read_text() == "my notes " * 100


def test_a_directory(tmp_path: Path) -> None:
    assert "is a directory." in fail("--db", tmp_path, "runs", "list")


def test_a_setting_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBTRACK_MAX_MODEL_MB", "many")
    message = fail("config")
    assert message.startswith("Error: 'many' is no value for the setting 'max_model_mb'")
    assert "hint: " in message


def test_wrong_usage_is_clicks() -> None:
    assert "No such command" in fail("runs", "burn", status=2)
    assert "0 is not in the range" in fail("runs", "list", "-n", 0, status=2)


# -- merge and export


def test_merge(filled: Client, tmp_path: Path) -> None:
    first = nbtrack.MlflowClient(tmp_path / "other.db")
    with first.start_run("far \x1b]0;x\a") as there:
        there.log_metric("acc", 1.0)
        there.log_text("some text", "a.txt")
    first.flush()
    planned = succeed("--db", filled.path, "merge", first.path, "--dry-run")
    assert "other.db (nothing was written): 1 run added, 0 brought up to date" in planned
    assert len(filled.search_runs(filter_string="metrics.acc = 1")) == 0
    assert "1 run added, 0 brought up to date, 0 unchanged; 1 file (" in succeed(
        "--db", filled.path, "merge", first.path
    )
    assert "0 runs added, 0 brought up to date, 1 unchanged; 0 files (0 B)." in succeed(
        "--db", filled.path, "merge", first.path
    )
    assert len(filled.search_runs(filter_string="metrics.acc = 1")) == 1
    first.workspace.writer.close()


def test_merge_into_a_new_file(filled: Client, tmp_path: Path) -> None:
    assert "no database" in fail(
        "--db", tmp_path / "new.db", "merge", filled.path, "--dry-run", status=3
    )
    assert "2 runs added" in succeed("--db", tmp_path / "new.db", "merge", filled.path)
    assert "no database" in fail("--db", filled.path, "merge", tmp_path / "absent.db", status=3)
    assert "into itself" in fail("--db", filled.path, "merge", filled.path)
    assert "Missing argument" in fail("merge", status=2)
    Client(tmp_path / "new.db").workspace.writer.close()


def test_merge_of_several(filled: Client, tmp_path: Path) -> None:
    more = Client(tmp_path / "more.db")
    more.start_run("more").end()
    more.flush()
    merge = ["--db", filled.path, "merge", more.path]
    found = load(succeed(*merge, more.path, "--json"))
    assert [(len(x["added"]), x["unchanged"]) for x in found] == [(1, 0), (0, 1)]
    result = run(*merge, tmp_path / "absent.db")
    assert result.exit_code == 3
    assert "1 unchanged" in result.stdout
    assert "no database" in result.stderr
    more.workspace.writer.close()


def test_merge_says_what_differs_and_what_is_left_out(filled: Client, tmp_path: Path) -> None:
    out = tmp_path / "out.db"
    filled.register_model("first", "churn")
    assert "1 run added" in succeed("--db", filled.path, "export", "first", out)
    with contextlib.closing(sqlite3.connect(out)) as conn, conn:
        conn.execute("UPDATE params SET value = '\x1b[31m2'")
        conn.execute("UPDATE model_versions SET creation_timestamp = 1, version = 7")
    text = succeed("--db", filled.path, "merge", out)
    assert "The param 'a' of the run first" in text
    assert "ours is kept" in text
    assert "Model churn: version 7." in text
    assert all(line.isprintable() for line in text.splitlines())
    with contextlib.closing(sqlite3.connect(out)) as conn, conn:
        conn.execute("UPDATE runs SET status = '\x1b[31m'")
    result = run("--db", filled.path, "merge", out)
    assert result.exit_code == 1
    assert "The run first was left out" in result.stderr
    assert "\x1b" not in result.output


def test_export(filled: Client, tmp_path: Path) -> None:
    out = tmp_path / "out.db"
    assert "1 run added" in succeed("--db", filled.path, "export", out, "--experiment", "other")
    assert "1 run added" in succeed("--db", filled.path, "export", "first", out)
    assert "2 unchanged" in succeed("--db", out, "merge", filled.path)
    assert "no run 'absent'" in fail("--db", filled.path, "export", "absent", out, status=3)
    assert "No run was chosen" in fail("--db", filled.path, "export", out)
    assert "Missing argument" in fail("--db", filled.path, "export", status=2)
    Client(out).workspace.writer.close()
