"""Which database the functions of ``nbtrack.*`` use; light, so that the extension can say it."""

from __future__ import annotations

import threading
from pathlib import Path

from nbtrack.db import resolve_path
from nbtrack.errors import InvalidParameterError
from nbtrack.settings import Settings, settings
from nbtrack.tracking import notices

_MLFLOWS = "MLFLOW_TRACKING_URI"

_lock = threading.Lock()
_chosen: list[Path] = []
_by_code: list[Path] = []  # the same, if `choose` named it


def current_path() -> Path:
    """Return the database in use; it is looked for once, and stays the same after a chdir."""
    with _lock:
        if not _chosen:
            _chosen.append(_settings_path())
        return _chosen[0]


def default_path() -> Path:
    """Return the database of a client that is given none."""
    with _lock:
        return _chosen[0] if _chosen else _settings_path()


def choose(uri: str) -> None:
    """Use another database; empty: look for one again, when the next one is needed.

    Raises
    ------
    InvalidParameterError
        The URI is none that nbtrack can use.
    """
    paths = [resolve_path(uri)] if uri else []
    with _lock:
        _chosen[:] = paths
        _by_code[:] = paths


def is_chosen() -> bool:
    """Return whether code, a setting or the environment has named a database."""
    with _lock:
        return bool(_by_code or settings.db)


def _settings_path() -> Path:
    """Return what the settings say; MLflow's variable may name what only MLflow can use."""
    uri = settings.db
    if not settings.is_chosen("db") and Settings.db.variable() == _MLFLOWS:
        try:
            return resolve_path(uri)
        except InvalidParameterError as error:
            if uri.startswith(("http://", "https://")):
                why = "tracking servers cannot be used yet"
            else:
                why = error.message
            notices.warn(
                f"{_MLFLOWS} is left aside: {why}. Runs go to a database file.\n"
                "hint: NBTRACK_DB names the file.",
                cause=_MLFLOWS,
            )
            return resolve_path("")
    return resolve_path(uri)
