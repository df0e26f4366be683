"""What every test gets: an environment without the user's settings, and versions on record."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nbtrack.tracking import Client

VERSIONS_SHOWN = ("ipython", "ipykernel", "jupyterlab", "pandas", "scikit-learn", "playwright")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def pytest_report_header() -> str:
    """Say which versions these tests ran with."""
    shown = [f"{name} {_version(name)}" for name in VERSIONS_SHOWN]
    return ", ".join(
        [f"python {platform.python_version()}", f"sqlite {sqlite3.sqlite_version}", *shown]
    )


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's settings away from the tests, and the tests away from the user's files."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("NBTRACK_", "MLFLOW_", "JUPYTER", "JPY_", "IPYTHON")):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(home / name.removeprefix("XDG_").lower()))
        yield


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the test's own temporary folder the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Return a client of a database of the test's own."""
    from nbtrack.tracking import Client, notices

    notices.forget()  # each cause is told once in a process: here, once in a test
    client = Client(tmp_path / "nbtrack.db")
    yield client
    client.workspace.writer.close()


@pytest.fixture(scope="session", autouse=True)
def _interrupts_work() -> None:
    """Let Ctrl-C interrupt, also where the tests were started by what ignores it (``&``)."""
    if signal.getsignal(signal.SIGINT) in {signal.SIG_IGN, None}:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the cells of other tests: the first run of a file stores all of its notebook."""
    from nbtrack.provenance import cells

    monkeypatch.setattr(cells, "executions", [])


@pytest.fixture(autouse=True)
def _readers_are_closed() -> Iterator[None]:
    """Close what a test has read through: left to the garbage collector, Python 3.13 warns."""
    yield
    from nbtrack.db import close_readers  # not above: this file is read before the tests of imports

    close_readers()
