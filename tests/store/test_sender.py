"""The sender: what is logged arrives, in few requests, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbtrack.errors import StoreError
from nbtrack.settings import settings
from nbtrack.store import outbox, sender
from nbtrack.testing.fake_server import FakeServer, RefusedError, running
from nbtrack.tracking import Client, notices
from nbtrack.tracking.notices import NbtrackWarning
from nbtrack.tracking.server import ServerWorkspace
from nbtrack.tracking.workspace import _open
from nbtrack.wire import http, parse_address

pytestmark = pytest.mark.usefixtures("_own_state")


@pytest.fixture
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sender, "_RETRY_S", (0.05, 0.1))
    monkeypatch.setattr(http, "_BACKOFF_S", 0.001)
    notices.forget()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as server:
        yield server


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    client = Client(server.address)
    yield client
    client.workspace.close()
    _open.pop(client.place, None)


def spools(client: Client) -> list[Path]:
    """Return the journals that wait for a server."""
    workspace = client.workspace
    assert isinstance(workspace, ServerWorkspace)
    folder = workspace.sender.spool.parent
    return sorted(folder.glob("spool-pending-*")) if folder.is_dir() else []


def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_many_points_go_in_few_requests(client: Client, server: FakeServer) -> None:
    run = client.start_run()
    for step in range(40_000):  # more than there are slots
        run.log_metric("loss", step / 2, step)
    client.flush(60)
    points = server.points(run.run_id)
    assert [(p["step"], p["value"]) for p in points] == [(i, i / 2) for i in range(40_000)]
    batches = server.asked("runs/log-batch")
    assert max(len(b["metrics"]) for b in batches) == outbox.MAX_METRICS
    assert len(batches) < 60


def test_batches_keep_to_the_limits(client: Client, server: FakeServer) -> None:
    run = client.start_run()
    run.log_params({f"p{i}": "x" * 5_000 for i in range(450)})
    run.set_tags({f"t{i}": "y" * 7_000 for i in range(250)})
    run.log_metrics({f"m{i}": i for i in range(2_500)})
    client.flush(60)
    for batch in server.asked("runs/log-batch"):
        assert len(batch["params"]) <= 100
        assert len(batch["tags"]) <= 100
        assert sum(len(batch[name]) for name in ("metrics", "params", "tags")) <= 1_000
        assert len(str(batch)) < 1_000_000
    stored = server.runs[run.run_id]
    assert (len(stored["params"]), len(stored["metrics"])) == (450, 2_500)
    assert len([key for key in stored["tags"] if key.startswith("t")]) == 250


def test_what_is_refused_does_not_take_the_rest_along(client: Client, server: FakeServer) -> None:
    def refuse(route: str, body: dict[str, Any]) -> None:
        if route == "runs/log-batch" and any(m["key"] == "bad" for m in body["metrics"]):
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", "no such metric")

    server.refuse = refuse
    run = client.start_run()
    for step in range(300):
        run.log_metric("bad" if step == 123 else "good", step, step)
    with pytest.warns(NbtrackWarning, match=r"does not take \(metric 'bad'\): no such metric"):
        client.flush()
    assert [p["step"] for p in server.points(run.run_id)] == [*range(123), *range(124, 300)]


def test_one_record_that_breaks_the_server(client: Client, server: FakeServer) -> None:
    def refuse(route: str, body: dict[str, Any]) -> None:
        if route == "runs/log-batch" and any(m["key"] == "bad" for m in body["metrics"]):
            raise RefusedError(500, "INTERNAL_ERROR", "oops")

    server.refuse = refuse
    run = client.start_run()
    run.log_metrics({"a": 1, "bad": 2, "c": 3})
    run.end()
    with pytest.warns(NbtrackWarning):
        until(lambda: server.runs[run.run_id]["info"].get("status") == "FINISHED")
    assert sorted(p["key"] for p in server.points(run.run_id)) == ["a", "c"]


def test_a_run_that_is_gone_is_told_once(client: Client, server: FakeServer) -> None:
    run, other = client.start_run(), client.start_run()
    del server.runs[run.run_id]
    run.log_metrics({f"m{i}": i for i in range(100)})
    other.log_metric("a", 1.0)
    with pytest.warns(NbtrackWarning, match="not found") as caught:
        client.flush()
    assert len(caught) == 1
    assert len(server.points(other.run_id)) == 1
    assert len(server.requests) < 12


def test_an_outage_is_waited_out(client: Client, server: FakeServer) -> None:
    run = client.start_run()
    client.flush()
    server.stop()
    begin = time.perf_counter()
    for step in range(1_000):
        run.log_metric("loss", step, step)
    run.end()
    assert time.perf_counter() - begin < 1
    with (
        pytest.warns(NbtrackWarning, match=r"cannot be reached.* Training goes on") as caught,
        pytest.raises(StoreError),
    ):
        client.flush(5)
    assert len(caught) == 1
    server.start()
    until(lambda: server.runs[run.run_id]["info"].get("status") == "FINISHED")
    assert [p["step"] for p in server.points(run.run_id)] == list(range(1_000))


def test_beginning_a_run_needs_the_server(client: Client, server: FakeServer) -> None:
    server.stop()
    with pytest.raises(StoreError, match="cannot be reached: nothing answers there"):
        client.start_run()


def test_what_waits_is_bounded(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.values, "max_pending_mb", 1)
    run = client.start_run()
    client.flush()
    server.stop()
    run.log_param("a", 1)
    with pytest.warns(NbtrackWarning, match="cannot be reached"), pytest.raises(StoreError):
        client.flush()

    def log_all() -> None:
        for i in range(30):
            run.log_text("x" * 100_000, f"{i}.txt")

    with pytest.warns(NbtrackWarning, match="fill 1 MB: further records are lost"):
        log_all()
    server.start()


def test_at_the_end_what_waits_is_told_and_kept(client: Client, server: FakeServer) -> None:
    run = client.start_run()
    run.log_metric("a", 1.0)
    client.flush()
    server.stop()
    run.log_metric("a", 2.0, 1)
    run.log_text("late", "late.txt")
    with pytest.warns(NbtrackWarning) as caught:
        client.workspace.close()
    assert "is sent by the next process that uses" in str(caught[-1].message)
    (spool,) = spools(client)
    assert spool.stat().st_mode & 0o777 == 0o600
    server.start()


def test_nothing_is_left_of_what_has_arrived(client: Client, server: FakeServer) -> None:
    run = client.start_run()
    run.log_metric("a", 1.0)
    run.log_text("hello", "a.txt")
    client.flush()
    assert len(spools(client)) == 1
    client.workspace.close()
    assert spools(client) == []
    assert server.files[f"1/{run.run_id}/artifacts/a.txt"] == b"hello"


SCRIPT = """
    import os, signal, sys
    from nbtrack.tracking import Client
    client = Client(sys.argv[1])
    run = client.start_run("killed")
    done = client.start_run("done")
    done.end()
    client.flush()
    print(run.run_id, done.run_id, flush=True)
    sys.stdin.readline()  # the server is away from here on
    for step in range(40_000):
        run.log_metric("loss", step, step)
    run.log_param("a", 1)
    run.log_text("kept", "a.txt")
    print("logged", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_logged_is_sent_by_the_next(
    client: Client, server: FakeServer
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SCRIPT), server.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    run_id, done_id = process.stdout.readline().split()
    server.stop()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "logged\n"
    assert process.wait(20) == -signal.SIGKILL
    process.stdin.close()
    process.stdout.close()
    assert server.points(run_id) == []
    server.start()
    client.search_experiments()  # whatever it is that uses the server next
    client.flush()
    until(lambda: server.runs[run_id]["info"].get("status") == "KILLED")
    assert [p["step"] for p in server.points(run_id)] == list(range(40_000))
    assert server.runs[run_id]["params"] == {"a": "1"}
    assert server.files[f"1/{run_id}/artifacts/a.txt"] == b"kept"
    assert server.runs[done_id]["info"]["status"] == "FINISHED"
    until(lambda: not spools(client))


def test_what_was_sent_before_the_kill_is_not_sent_again(
    client: Client, server: FakeServer
) -> None:
    script = """
        import os, signal, sys
        from nbtrack.tracking import Client
        client = Client(sys.argv[1])
        run = client.start_run("killed")
        for step in range(1_000):
            run.log_metric("loss", step, step)
        run.log_text("kept", "a.txt")
        client.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), server.address]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    asked = len(server.requests)
    client.flush()
    until(lambda: not spools(client))
    assert [route for _, route, _ in server.requests[asked:]] == ["runs/get", "runs/update"]


@pytest.mark.parametrize("content", [b"", b"no journal", b"nbtrkjl1" + b"\xff" * 5_000])
def test_files_that_are_no_journals_are_left_alone(
    client: Client, server: FakeServer, content: bytes
) -> None:
    workspace = client.workspace
    assert isinstance(workspace, ServerWorkspace)
    folder = workspace.sender.spool.parent
    folder.mkdir(parents=True)
    (folder / "spool-pending-evil").write_bytes(content)
    run = client.start_run()
    run.log_metric("a", 1.0)
    client.flush()
    assert len(server.points(run.run_id)) == 1
    assert (folder / "spool-pending-evil").read_bytes() == content


def test_a_fork_has_a_journal_of_its_own(client: Client, server: FakeServer) -> None:
    run = client.start_run()
    run.log_metric("a", 1.0)
    pid = os.fork()
    if pid == 0:
        run.log_metric("a", 2.0, 1)
        client.workspace.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    run.log_metric("a", 3.0, 2)
    client.flush()
    assert sorted(p["value"] for p in server.points(run.run_id)) == [1.0, 2.0, 3.0]


def test_the_spool_is_named_without_the_password(server: FakeServer) -> None:
    one, other = (
        sender.spool_of(parse_address(f"http://{who}127.0.0.1:{server.port}"))
        for who in ("", "me:s3cret@")
    )
    assert one == other
    assert "s3cret" not in str(one)
