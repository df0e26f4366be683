"""Registered models: numbers without gaps, an audit trail that stays."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.tracking import Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_id(client: Client) -> str:
    with client.start_run("a-run") as run:
        run.log_model({"any": "object"}, "sklearn")
    return run.run_id


@pytest.fixture
def conn(client: Client, run_id: str) -> Iterator[sqlite3.Connection]:
    client.flush()
    conn = sqlite3.connect(client.path, isolation_level=None)
    yield conn
    conn.close()


def test_versions_count_from_one(client: Client, run_id: str) -> None:
    versions = [client.register_model(run_id, "iris") for _ in range(3)]
    assert [version.version for version in versions] == [1, 2, 3]
    assert client.register_model("a-run", "other").version == 1
    first = versions[0]
    assert (first.name, first.run_id, first.run_name) == ("iris", run_id, "a-run")
    assert first.source == f"runs:/{run_id}/model"
    assert first.aliases == ()
    assert first.user_id == client.workspace.session.user_id


def test_names_are_stripped(client: Client, run_id: str) -> None:
    assert client.register_model(run_id, "  iris classifier ").name == "iris classifier"
    assert client.register_model(run_id, "iris classifier").version == 2


def test_listing(client: Client, run_id: str) -> None:
    assert client.search_registered_models() == []
    for name in ("b", "a", "b"):
        client.register_model(run_id, name)
    found = client.search_registered_models()
    assert [(model.name, [v.version for v in model.versions]) for model in found] == [
        ("a", [1]),
        ("b", [2, 1]),
    ]
    assert found[1].last_updated_timestamp >= found[1].creation_timestamp


def test_no_database_has_no_models(client: Client) -> None:
    assert client.search_registered_models() == []
    assert not client.path.exists()


@pytest.mark.parametrize("uri", ["models:/iris/1", "models:/iris/latest", "models:/iris@best"])
def test_loading_by_number_latest_and_alias(
    client: Client, run_id: str, conn: sqlite3.Connection, uri: str
) -> None:
    client.register_model(run_id, "iris")
    conn.execute("INSERT INTO model_aliases VALUES ('iris', 'best', 1)")
    assert client.load_model(uri) == {"any": "object"}
    version = client.search_registered_models()[0].versions[0]
    assert version.aliases == ("best",)


def test_latest_is_the_greatest_number(client: Client, run_id: str) -> None:
    for _ in range(11):
        client.register_model(run_id, "iris")
    assert client.workspace.registry.get_version("iris", "latest").version == 11


def test_what_is_not_there(client: Client, run_id: str) -> None:
    get = client.workspace.registry.get_version
    with pytest.raises(NotFoundError, match="no registered model 'iris'") as caught:
        get("iris", 1)
    assert caught.value.hint == "Nothing is registered yet."
    for name in ("iris", *(f"m{i:02}" for i in range(11))):
        client.register_model(run_id, name)
    with pytest.raises(NotFoundError, match="no registered model 'rose'") as caught:
        get("rose", 1)
    assert caught.value.hint == (
        "There is: iris, m00, m01, m02, m03, m04, m05, m06, m07, m08 and 2 more."
    )
    for version in (2, 0, "@best"):
        with pytest.raises(NotFoundError, match=f"'iris' has no version {version!r}") as caught:
            get("iris", version)
        assert caught.value.hint == "It has: 1."


def test_what_cannot_be_registered(client: Client, run_id: str) -> None:
    empty = client.start_run("empty").run_id
    with pytest.raises(NotFoundError, match=f"The run {empty} has no model 'model'") as caught:
        client.register_model(empty, "iris")
    assert "max_model_mb" in (caught.value.hint or "")
    with pytest.raises(NotFoundError, match="has no model 'elsewhere'"):
        client.register_model(f"runs:/{run_id}/elsewhere", "iris")
    with pytest.raises(InvalidParameterError, match="is no name for a registered model"):
        client.register_model(run_id, "a/b")
    with pytest.raises(InvalidParameterError, match="is registered already") as caught_2:
        client.register_model("models:/iris/1", "iris")
    assert caught_2.value.hint == "Give runs:/<run id>/model."
    with pytest.raises(NotFoundError, match="There is no run 'unknown'"):
        client.register_model("unknown", "iris")
    assert client.search_registered_models() == []


@pytest.mark.parametrize("name", ["'; DROP TABLE runs; --", "%", '"', "😀", "naïve"])
def test_hostile_names(client: Client, run_id: str, name: str) -> None:
    client.register_model(run_id, name)
    client.register_model(run_id, "other")
    assert client.workspace.registry.get_version(name, "latest").name == name
    assert len(client.search_registered_models()) == 2


def test_every_change_is_in_the_audit_trail(
    client: Client, run_id: str, conn: sqlite3.Connection
) -> None:
    client.register_model(run_id, "iris")
    client.register_model(run_id, "iris")
    with pytest.raises(NotFoundError):
        client.register_model(client.start_run().run_id, "iris")
    events = conn.execute(
        "SELECT name, version, event, json_extract(details, '$.source') FROM model_events"
    ).fetchall()
    source = f"runs:/{run_id}/model"
    assert events == [("iris", 1, "registered", source), ("iris", 2, "registered", source)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE model_events SET user_id = 'somebody else'",
        "DELETE FROM model_events",
        "REPLACE INTO model_events SELECT * FROM model_events",
    ],
)
def test_the_audit_trail_cannot_be_edited(
    client: Client, run_id: str, conn: sqlite3.Connection, sql: str
) -> None:
    client.register_model(run_id, "iris")
    before = conn.execute("SELECT * FROM model_events").fetchall()
    with pytest.raises(sqlite3.DatabaseError):
        conn.execute(sql)
    assert conn.execute("SELECT * FROM model_events").fetchall() == before


def test_a_version_without_its_run_is_told(
    client: Client, run_id: str, conn: sqlite3.Connection
) -> None:
    client.register_model(run_id, "iris")
    conn.execute("UPDATE model_versions SET source = '/elsewhere'")
    with pytest.raises(NotFoundError, match="points to '/elsewhere', which is no run"):
        client.load_model("models:/iris/1")


def test_processes_that_register_at_once(client: Client, run_id: str) -> None:
    client.flush()
    script = (
        "import sys\nfrom nbtrack import Client\n"
        "client = Client(sys.argv[1])\n"
        "print(*(client.register_model(sys.argv[2], 'iris').version for _ in range(5)))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(client.path), run_id],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    given = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        given += [int(number) for number in out.split()]
    assert sorted(given) == list(range(1, 41))
    (model,) = client.search_registered_models()
    assert [version.version for version in model.versions] == list(range(40, 0, -1))
