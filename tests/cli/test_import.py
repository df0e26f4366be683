"""``nbtrack import``: what it brings, what it says, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nbtrack.cli import main
from nbtrack.tracking import Client

RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    run = tmp_path / "mlruns" / "7" / RUN
    (run / "metrics").mkdir(parents=True)
    (run.parent / "meta.yaml").write_text("experiment_id: '7'\nname: wine\n")
    (run / "meta.yaml").write_text(
        f'run_id: {RUN}\nrun_name: "first \\e[31m"\nstatus: 3\nstart_time: 1\nend_time: 2\n'
        f"artifact_uri: mlflow-artifacts:/7/{RUN}/artifacts\n"
    )
    (run / "metrics" / "acc").write_text("1 0.5 0\n")
    (tmp_path / "kept" / "7" / RUN / "artifacts").mkdir(parents=True)
    (tmp_path / "kept" / "7" / RUN / "artifacts" / "a.txt").write_text("a")
    return tmp_path / "mlruns"


def run(client: Client, *args: object) -> Result:
    return CliRunner().invoke(main, ["--db", str(client.path), "import", *map(str, args)])


def test_a_store_is_imported_once(client: Client, store: Path) -> None:
    done = run(client, store, "--artifacts-destination", store.parent / "kept")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "1 run added" in done.stdout
    assert client.get_run(RUN).data.metrics == {"acc": 0.5}
    assert client.workspace.artifacts.read(RUN, "a.txt") == b"a"
    again = run(
        client,
        *("--backend-store-uri", store.as_uri()),
        *("--artifacts-destination", store.parent / "kept"),
    )
    assert "0 runs added, 0 brought up to date, 1 unchanged" in again.stdout


def test_what_was_left_out_is_said_and_is_the_status(client: Client, store: Path) -> None:
    done = run(client, store)
    assert done.exit_code == 1
    assert "artifacts_destination" in done.stderr
    assert "1 run added" in done.stdout


def test_a_rehearsal_as_json(client: Client, store: Path) -> None:
    client.create_experiment("there is a database")
    done = run(client, store, "--dry-run", "--json", "--artifacts-destination", "kept")
    found = json.loads(done.stdout)
    assert (found["source"], found["dry_run"], found["added"]) == (str(store), True, [RUN])
    assert client.search_runs(["0"]) == []


@pytest.mark.parametrize(
    ("args", "told", "status"),
    [
        ([], "Name one source", 2),
        (["a", "--backend-store-uri", "b"], "Name one source", 2),
        (["nowhere"], "There is nothing at", 3),
        (["http://localhost:5000"], "is a server", 1),
        ([".", "--format", "nosuch"], "no kind of archive", 1),
    ],
)
def test_what_cannot_be_imported(
    client: Client, workdir: Path, args: list[str], told: str, status: int
) -> None:
    done = run(client, *args)
    assert done.exit_code == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr
