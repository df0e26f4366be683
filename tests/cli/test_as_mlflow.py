"""What MLflow's command line has: the same names, options and results."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import click
import pytest

from nbtrack.cli import main
from nbtrack.tracking import Client

from .calling import fail, load, succeed

# Options of MLflow's that mean what nbtrack does not have: servers, traces, workspaces.
NOT_OURS = {
    "--tracking-uri",
    "--backend-store-uri",
    "--artifacts-destination",
    "--logged-model-ids",
    "--jobs",
    "--job-ids",
    "--workspace",
    "--all-workspaces",
    "--trace-archival-retention",
    "--output",  # --json
}
COMMANDS_NOT_OURS = {
    "link-traces",
    "update",
    "delete-trace-rollups",
    "prepopulate-trace-analytics",
    "migrate-to-default-workspace",
    "move-resources",
}

SCRIPT = """
import json, click
from mlflow import cli
found = {}
def walk(command, path):
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            walk(command.get_command(click.Context(command), name), f"{path} {name}".strip())
    else:
        found[path] = [flag for param in command.params
                       if isinstance(param, click.Option) for flag in param.opts]
for name in ("experiments", "runs", "artifacts", "gc", "doctor", "db"):
    walk(cli.cli.get_command(click.Context(cli.cli), name), name)
print(json.dumps(found))
"""


@pytest.mark.mlflow
def test_every_command_and_option_is_there(mlflow_python: str) -> None:
    done = subprocess.run([mlflow_python, "-c", SCRIPT], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    assert len(theirs) > 15
    for path, flags in theirs.items():
        if path.split()[-1] in COMMANDS_NOT_OURS:
            continue
        command: click.Command | None = main
        for name in path.split():
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), name)
        assert command is not None, path
        ours = {flag for param in command.params for flag in param.opts}
        assert set(flags) - ours <= NOT_OURS, path


def test_experiments(client: Client, tmp_path: Path) -> None:
    db = ["--db", client.path]
    assert succeed("experiments", "create", "-n", "churn", *db) == "Made: churn (id 1).\n"
    made = load(succeed("experiments", "create", "2", "-l", "s3://bucket/x", "--json", *db))
    assert made == {"experiment_id": "2", "name": "2"}
    assert "already exists" in fail("experiments", "create", "churn", *db)
    for chosen in (["churn"], ["1"], ["-x", "1"], ["-n", "churn"]):
        found = load(succeed("experiments", "get", *chosen, "--json", *db))
        assert (found["experiment_id"], found["name"]) == ("1", "churn")
    assert "s3://bucket/x" in succeed("experiments", "get", "2", *db)  # a name goes first
    assert "There is no experiment 'no'" in fail("experiments", "get", "no", *db, status=3)
    assert "id=9" in fail("experiments", "get", "-x", "9", *db, status=3)
    for chosen in ([], ["churn", "-x", "1"], ["-n", "churn", "-x", "1"]):
        assert "Name one EXPERIMENT" in fail("experiments", "get", *chosen, *db, status=2)
    said = succeed("experiments", "rename", "-x", "1", "--new-name", "left", *db)
    assert said == "Renamed: churn is left now (id 1).\n"
    assert "already exists" in fail("experiments", "rename", "left", "--new-name", "2", *db)
    assert succeed("experiments", "delete", "-x", "1", *db).startswith("In the trash: left")
    found = load(succeed("experiments", "search", "-v", "deleted_only", "--json", *db))
    assert [x["name"] for x in found] == ["left"]
    assert load(succeed("experiments", "restore", "left", "--json", *db)) == {"restored": "1"}
    found = load(
        succeed(
            "experiments",
            "search",
            "--filter",
            "name LIKE '%e%'",
            "--order-by",
            "name DESC",
            "--max-results",
            1,
            "--json",
            *db,
        )
    )
    assert [x["name"] for x in found] == ["left"]
    assert "no such experiments" in succeed("experiments", "list", "-v", "deleted_only", *db)


def test_runs(client: Client) -> None:
    db = ["--db", client.path]
    made = load(
        succeed(
            "runs",
            "create",
            "--experiment-name",
            "new",
            "--run-name",
            "one",
            "-t",
            "a=b=c",
            "--tags",
            "env=prod",
            "--description",
            "text",
            "--status",
            "failed",
            "--json",
            *db,
        )
    )
    assert (made["status"], made["run_name"]) == ("FAILED", "one")
    tags = client.get_run(made["run_id"]).data.tags
    assert (tags["a"], tags["env"], tags["mlflow.note.content"]) == ("b=c", "prod", "text")
    succeed(
        "runs", "create", "--experiment-id", "0", "--run-name", "two", "--parent-run-id", "one", *db
    )
    assert client.get_run("two").info.parent_run_id == made["run_id"]
    assert succeed("runs", "create", *db).startswith("Made: ")
    assert "not both" in fail(
        "runs", "create", "--experiment-id", "0", "--experiment-name", "x", *db, status=2
    )
    assert "KEY=VALUE" in fail("runs", "create", "-t", "text", *db, status=2)
    assert "given twice" in fail("runs", "create", "-t", "a=1", "-t", "a=2", *db, status=2)
    assert "'nobody'" in fail("runs", "create", "--parent-run-id", "nobody", *db, status=3)

    found = load(succeed("runs", "list", "--experiment-id", made["experiment_id"], "--json", *db))
    assert [x["run_name"] for x in found] == ["one"]
    assert "id=77" in fail("runs", "list", "--experiment-id", "77", *db, status=3)
    assert load(succeed("runs", "describe", "--run-id", "one", *db))["run"]["run_name"] == "one"
    assert "named twice" in fail("runs", "show", "one", "-r", "two", *db, status=2)
    assert "Missing argument 'RUN'" in fail("runs", "show", *db, status=2)
    assert load(succeed("runs", "delete", "--run-id", "one", "--json", *db)) == {
        "deleted": [made["run_id"]]
    }
    found = load(succeed("runs", "list", "-v", "deleted_only", "--json", *db))
    assert [x["run_name"] for x in found] == ["one"]
    assert len(load(succeed("runs", "list", "--view", "all", "--json", *db))) == 3
    assert load(succeed("runs", "restore", "--run-id", made["run_id"], "--json", *db)) == {
        "restored": [made["run_id"]]
    }
    assert "Missing argument" in fail("runs", "restore", *db, status=2)


def test_csv(client: Client, workdir: Path) -> None:
    with client.start_run('one\n,"two"') as run:
        run.log_metric("acc", 0.5)
        run.log_param("p", "é")
    client.flush()
    db = ["--db", client.path]
    (row,) = csv.DictReader(io.StringIO(succeed("experiments", "csv", "-x", "0", *db)))
    assert (row["metrics.acc"], row["params.p"]) == ("0.5", "é")
    assert row["tags.mlflow.runName"] == 'one\n,"two"'
    said = succeed("experiments", "csv", "Default", "-o", "out.csv", *db)
    assert said == "Written to out.csv: 1 run.\n"
    with (workdir / "out.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [row]
    assert load(succeed("experiments", "csv", "Default", "--json", *db))["runs"] == 1
    assert "cannot be written" in fail("experiments", "csv", "Default", "-o", "no/out.csv", *db)


@pytest.mark.mlflow
def test_csv_has_the_columns_of_mlflow(mlflow_python: str, client: Client, workdir: Path) -> None:
    script = (
        "import mlflow; mlflow.set_tracking_uri('sqlite:///m.db')\n"
        "with mlflow.start_run(run_name='one'):\n"
        "    mlflow.log_metric('acc', 0.5); mlflow.log_param('p', 1)"
    )
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{workdir / 'm.db'}"}
    subprocess.run([mlflow_python, "-c", script], check=True, capture_output=True, env=env)
    done = subprocess.run(
        [mlflow_python, "-m", "mlflow", "experiments", "csv", "-x", "0"],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    with client.start_run("one") as run:
        run.log_metric("acc", 0.5)
        run.log_param("p", 1)
    client.flush()
    (theirs,) = csv.DictReader(io.StringIO(done.stdout))
    (ours,) = csv.DictReader(io.StringIO(succeed("experiments", "csv", "0", "--db", client.path)))
    columns = [[key for key in row if not key.startswith("tags.")] for row in (theirs, ours)]
    assert columns[0] == columns[1]
    assert (ours["metrics.acc"], ours["params.p"]) == (theirs["metrics.acc"], theirs["params.p"])
