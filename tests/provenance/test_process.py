"""Which process this is, which still live, and what was imported."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import types

import pytest

from nbtrack.provenance import is_alive, process, this_environment, this_process
from nbtrack.provenance.environment import imported_packages


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_this_process_is_alive() -> None:
    me = this_process()
    assert is_alive(me.machine, me.pid, me.process_start, 0)
    assert me.user_id
    assert me.host


@pytest.mark.skipif(not process._start(1), reason="needs /proc")
def test_another_process_of_the_same_number_is_not_it() -> None:
    me = this_process()
    assert not is_alive(me.machine, me.pid, "1", now_ms())


@pytest.mark.skipif(not process._start(1), reason="needs /proc")
def test_a_process_that_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = process._start(child.pid)
    assert start is not None
    machine = this_process().machine
    assert is_alive(machine, child.pid, start, 0)
    child.kill()
    time.sleep(0.05)
    assert not is_alive(machine, child.pid, start, now_ms())  # a zombie until it is waited for
    child.communicate()
    assert not is_alive(machine, child.pid, start, now_ms())


def test_elsewhere_the_heartbeat_decides() -> None:
    assert is_alive("another machine", 1, "1", now_ms() - 30_000)
    assert not is_alive("another machine", 1, "1", now_ms() - 90_000)
    assert is_alive(this_process().machine, 1, "", now_ms())


def test_the_environment_is_json() -> None:
    facts = this_environment()
    json.dumps(facts, allow_nan=False)
    assert facts["packages"]["pytest"] == pytest.__version__
    assert facts["python"].startswith("3.")


def test_modules_are_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some warn, import or raise when they are asked for a name; warnings are errors here."""

    class Touchy(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(f"asked for {name}")

    monkeypatch.setitem(sys.modules, "touchy", Touchy("touchy"))
    monkeypatch.setitem(sys.modules, "empty", None)
    assert "touchy" not in imported_packages()
