"""What every test gets: an environment without the user's settings, and versions on record."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nbtrack.tracking import Client

MLFLOW_PYTHON = os.environ.get("NBTRACK_MLFLOW_PYTHON")  # taken away from the tests below
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


@pytest.fixture(autouse=True)
def _no_database_of_the_users() -> Iterator[None]:
    """Find the test that logs to where the tests are run, for want of a folder of its own."""
    database = Path("nbtrack.db").absolute()
    there = database.exists()
    yield
    assert there or not database.exists(), f"the test has made {database}: give it `workdir`"


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
    client.workspace.uploads.end(0)
    client.workspace.writer.close()


@pytest.fixture(scope="session")
def mlflow_python() -> str:
    """Return a Python that has the real mlflow."""
    if MLFLOW_PYTHON is None:
        pytest.skip("NBTRACK_MLFLOW_PYTHON names no Python that has mlflow")
    return MLFLOW_PYTHON


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the real MLflow server keeps its database and its artifacts."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def mlflow_server(mlflow_python: str, mlflow_folder: Path) -> Iterator[str]:
    """Start a real MLflow server on loopback, and return its address."""
    folder = mlflow_folder
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [mlflow_python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    files = ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *store, *files], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            if server.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        else:
            pytest.fail((folder / "server.log").read_text())
        assert server.poll() is None, (folder / "server.log").read_text()
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # its workers, too
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:  # it waits for its own schedulers
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)


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
