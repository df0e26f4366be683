"""A server of the installed MLflow for a database file of its own, as long as it is needed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from nbtrack.errors import InvalidParameterError, MissingPackageError, StoreError
from nbtrack.wire import Address, Http

_START_S = 120.0  # a new database is made on the way
_STOP_S = 15.0
_MAX_LOG = 500


@contextlib.contextmanager
def serving(database: Path) -> Iterator[Http]:
    """Start a server on loopback for an ``mlflow.db``, and end it.

    Artifacts go into the folder ``mlartifacts`` beside the file, by paths that every client of
    MLflow's on this machine can use without a server.

    Parameters
    ----------
    database
        The file; MLflow makes it if it is not there.

    Raises
    ------
    InvalidParameterError
        There is no such folder.
    MissingPackageError
        MLflow is not installed.
    StoreError
        The server does not start: the file is none of MLflow's, say.
    """
    if not database.parent.is_dir():
        raise InvalidParameterError(
            f"There is no folder {str(database.parent)!r} for the database {database.name!r}.",
            hint="Make it, or name another place.",
        )
    command = _program()
    port = _free_port()
    command += ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}"]
    command += ["--no-serve-artifacts"]
    command += ["--default-artifact-root", (database.parent / "mlartifacts").as_uri()]
    # MLflow's own settings are for its clients: this server is told all that it needs.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(  # noqa: S603 - the installed mlflow, and a path of the user's
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=kept,
            cwd=database.parent,
            start_new_session=True,
        )
        try:
            http = Http(Address(f"http://127.0.0.1:{port}"))
            _wait(http, server, log)
            yield http
        finally:
            _end(server)


def _program() -> list[str]:
    if find_spec("mlflow") is not None:
        return [sys.executable, "-m", "mlflow"]
    found = shutil.which("mlflow")
    if found is None:
        raise MissingPackageError(
            "Exporting to a database of MLflow's needs the package mlflow, which makes it.",
            hint="pip install mlflow, or export to the address of a server that runs.",
        )
    return [found]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(http: Http, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(StoreError):
            http.call("GET", "experiments/get", query={"experiment_id": "0"}, retries=0)
            return
        time.sleep(0.2)
    log.seek(0)
    said = log.read().decode("utf-8", "replace").strip()
    raise StoreError(
        f"The server of the installed MLflow does not start: {said[-_MAX_LOG:]}",
        hint="Try it by hand: mlflow server --backend-store-uri sqlite:///...",
    )


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and its workers: a group of processes of their own."""
    for sign in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, sign)
        else:
            server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_S)
            return
