"""The store in one SQLite file keeps the contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbtrack.db import Reader
from nbtrack.store import Session, SqliteStore, Writer
from nbtrack.testing.store_contract import StoreContract
from nbtrack.types import RunQuery, RunStatus


def make_session(session_id: str = "s1", **changes: object) -> Session:
    facts: dict[str, object] = {
        "session_id": session_id,
        "user_id": "me",
        "host": "here",
        "machine": "boot/ns",
        "pid": 1,
        "process_start": "1",
        "notebook": "a.ipynb",
        "environment": lambda: {"python": "3"},
        "start_ms": 0,
    }
    return Session(**(facts | changes))  # type: ignore[arg-type]


def alive(*_process: object) -> bool:
    return True


def dead(*_process: object) -> bool:
    return False


def make_writer(
    path: Path,
    session: Session,
    *,
    is_alive: Callable[..., bool] = alive,
    on_trouble: Callable[[str], object] = pytest.fail,
    beat_s: float = 10.0,
) -> Writer:
    return Writer(
        path, session=lambda: session, is_alive=is_alive, on_trouble=on_trouble, beat_s=beat_s
    )


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def troubles(self) -> list[str]:
        return []

    @pytest.fixture
    def store(self, tmp_path: Path, troubles: list[str]) -> Iterator[SqliteStore]:
        path = tmp_path / "nbtrack.db"
        writer = make_writer(path, make_session(), on_trouble=troubles.append)
        yield SqliteStore(writer, Reader(path), alive)
        writer.close()

    @pytest.fixture
    def session_id(self) -> str:
        return "s1"

    def test_run_knows_its_session(self, store: SqliteStore, session_id: str) -> None:
        run_id = self.begin(store, session_id=session_id)
        detail = store.get_run_detail(run_id)
        assert detail.run.notebook == "a.ipynb"
        assert detail.environment == {"python": "3"}
        assert store.get_run_detail(self.begin(store)).environment == {}

    def test_a_lost_record_is_told(self, store: SqliteStore, troubles: list[str]) -> None:
        for _ in range(2):
            store.log_params("f" * 32, {"a": "1"})
        self.begin(store)
        assert len(store.search_runs(RunQuery())) == 1
        assert len(troubles) == 1
        assert "A record could not be stored and was left out (log_params: Run with" in troubles[0]

    def test_default_experiment_is_there_from_the_start(self, store: SqliteStore) -> None:
        before = time.time_ns() // 1_000_000
        self.begin(store)
        default = self.named(store, "Default")
        assert default.experiment_id == "0"
        assert abs(default.creation_time - before) < 60_000

    def test_runs_that_ended_are_sealed(self, store: SqliteStore, tmp_path: Path) -> None:
        running, ended = self.begin(store), self.begin(store)
        store.update_run(ended, status=RunStatus.FINISHED, end_time=2)
        store.log_params(ended, {"a": "1"})
        assert len(store.search_runs(RunQuery())) == 2

        def sealed() -> list[str]:
            rows = Reader(tmp_path / "nbtrack.db").rows(
                "SELECT run_id FROM sealed_runs JOIN runs USING (run_no)"
            )
            return [row[0] for row in rows]

        assert sealed() == [ended]
        store.update_run(running, status=RunStatus.KILLED)
        store.log_params(ended, {"a": "2"})
        assert len(store.search_runs(RunQuery())) == 2
        assert sorted(sealed()) == sorted([running, ended])


@pytest.mark.parametrize(("lives", "status"), [(True, "RUNNING"), (False, "KILLED")])
def test_runs_of_the_dead_are_closed(tmp_path: Path, lives: bool, status: str) -> None:
    path = tmp_path / "nbtrack.db"
    begin = StoreContract().begin
    first = make_writer(path, make_session("s1"))
    store = SqliteStore(first, Reader(path), alive)
    running = begin(store, session_id="s1", start_time=5)
    first.flush()
    first.close()

    asked = []

    def is_alive(*process: object) -> bool:
        asked.append(process)
        return lives

    second = make_writer(path, make_session("s2", pid=2), is_alive=is_alive)
    other = SqliteStore(second, Reader(path), alive)
    begin(other, session_id="s2")
    info = other.get_run(running).info
    assert info.status == status
    assert (info.end_time is None) == lives
    assert [process[:3] for process in asked] == [("boot/ns", 1, "1")]
    second.close()


def test_runs_of_the_dead_are_read_as_killed(tmp_path: Path) -> None:
    """Also by those who only read, and write nothing down."""
    path = tmp_path / "nbtrack.db"
    writer = make_writer(path, make_session("s1"))
    store = SqliteStore(writer, Reader(path), alive)
    running = StoreContract().begin(store, session_id="s1", start_time=5)
    ended = StoreContract().begin(store, session_id="s1", start_time=5)
    store.update_run(ended, status=RunStatus.FINISHED, end_time=6)
    assert store.get_run(running).info.status is RunStatus.RUNNING
    reading = SqliteStore(writer, Reader(path), dead)
    info = reading.get_run(running).info
    heartbeat = Reader(path).rows("SELECT heartbeat_ms FROM sessions")[0][0]
    assert (info.status, info.end_time) == (RunStatus.KILLED, heartbeat)
    assert reading.get_run(ended).info.end_time == 6
    table = reading.run_table(RunQuery(run_ids=[running]))
    assert (table.info["status"], table.info["end_time"]) == ([RunStatus.KILLED], [heartbeat])
    assert (
        Reader(path).rows("SELECT status FROM runs WHERE run_id = ?", (running,))[0][0] == "RUNNING"
    )
    writer.close()


def test_a_heartbeat_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "nbtrack.db"
    writer = make_writer(path, make_session(), beat_s=0.02)
    store = SqliteStore(writer, Reader(path), alive)
    StoreContract().begin(store, session_id="s1")
    reader = Reader(path)
    writer.flush()
    first = reader.rows("SELECT heartbeat_ms FROM sessions")[0][0]
    deadline = time.monotonic() + 5
    while reader.rows("SELECT heartbeat_ms FROM sessions")[0][0] <= first:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.close()
