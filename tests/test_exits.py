"""The end of the process: what still has something to write comes before what writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nbtrack.tracking import Client


def run(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Warning" not in done.stderr
    return done


def test_what_is_done_later_is_written(tmp_path: Path) -> None:
    """Although the module that writes is imported after the one that waits."""
    run(
        "import time\n"
        "from nbtrack.tracking import later\n"
        "from nbtrack.tracking import Client\n"
        "run = Client('nbtrack.db').start_run('slow')\n"
        "later.do('be slow', lambda: (time.sleep(1), run.set_tags({'late': 'kept'})))\n"
        "run.end()\n",
        tmp_path,
    )
    (kept,) = Client(tmp_path / "nbtrack.db").search_runs(["0"])
    assert kept.data.tags["late"] == "kept"


def test_what_is_done_later_in_a_child_is_written(tmp_path: Path) -> None:
    run(
        "import multiprocessing, time\n"
        "from nbtrack.tracking import Client, later\n"
        "def work():\n"
        "    run = Client('nbtrack.db').start_run('slow')\n"
        "    later.do('be slow', lambda: (time.sleep(1), run.set_tags({'late': 'kept'})))\n"
        "    run.end()\n"
        "for _ in range(2):\n"
        "    child = multiprocessing.get_context('fork').Process(target=work)\n"
        "    child.start()\n"
        "    child.join()\n",
        tmp_path,
    )
    runs = Client(tmp_path / "nbtrack.db").search_runs(["0"])
    assert [one.data.tags["late"] for one in runs] == ["kept", "kept"]


def test_the_user_may_log_at_exit(tmp_path: Path) -> None:
    run(
        "import nbtrack, atexit\n"
        "run = nbtrack.start_run()\n"
        "atexit.register(lambda: nbtrack.log_metric('last', 1))\n",
        tmp_path,
    )
    (kept,) = Client(tmp_path / "nbtrack.db").search_runs(["0"])
    assert kept.data.metrics == {"last": 1.0}
    assert kept.info.status == "FINISHED"


@pytest.mark.parametrize("step", ["TRAININGS", "STORES"])
def test_the_order_and_errors(step: str, tmp_path: Path) -> None:
    """They are called by step, in their order; one that fails keeps no other from it."""
    done = run(
        "from nbtrack import exits\n"
        "for step in reversed(exits.Step):\n"
        "    for n in (1, 2):\n"
        "        exits.register(step, lambda s=step, n=n: print(s.name, n))\n"
        "def fail(): 1 / 0\n"
        f"exits.register(exits.Step.{step}, fail)\n"
        f"exits.register(exits.Step.{step}, fail)\n",
        tmp_path,
    )
    steps = ["TRAININGS", "RUNS", "LATER", "STORES"]
    assert done.stdout.split("\n")[:-1] == [f"{name} {n}" for name in steps for n in (1, 2)]
    assert done.stderr.count("ZeroDivisionError") == 1
