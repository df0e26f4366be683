"""Which database or server the functions of ``nbtrack.*`` use; light: the extension says it."""

from __future__ import annotations

import threading
from pathlib import Path

from nbtrack.db import resolve_path
from nbtrack.errors import InvalidParameterError
from nbtrack.settings import Settings, settings
from nbtrack.tracking import notices
from nbtrack.wire.address import Address, is_address, parse_address

Place = Path | Address
"""Where runs go: a database file, or a tracking server."""

_PLATFORMS = frozenset({"databricks", "databricks-uc", "uc"})  # MLflow's words, not files
_MLFLOWS = "MLFLOW_TRACKING_URI"

_lock = threading.Lock()
_chosen: list[Place] = []
_by_code: list[Place] = []  # the same, if `choose` named it


def resolve(uri: str) -> Place:
    """Return what a tracking URI means: a path, ``sqlite:///path``, or ``http(s)://server``.

    Raises
    ------
    InvalidParameterError
        It is none that nbtrack can use.

    Examples
    --------
    >>> str(resolve("http://127.0.0.1:5000/"))
    'http://127.0.0.1:5000'
    """
    if uri.partition("://")[0] in _PLATFORMS:
        raise InvalidParameterError(
            f"The tracking URI {uri!r} names a platform that nbtrack does not know.",
            hint="Use a path, sqlite:///path, or the address of an MLflow server: http(s)://...",
        )
    return parse_address(uri) if is_address(uri) else resolve_path(uri)


def current_place() -> Place:
    """Return what is in use; it is looked for once, and stays the same after a chdir."""
    with _lock:
        if not _chosen:
            _chosen.append(_settings_place())
        return _chosen[0]


def default_place() -> Place:
    """Return the database or server of a client that is given none."""
    with _lock:
        return _chosen[0] if _chosen else _settings_place()


def choose(uri: str) -> None:
    """Use another database or server; empty: look for one again, when the next one is needed.

    Raises
    ------
    InvalidParameterError
        The URI is none that nbtrack can use.
    """
    places = [resolve(uri)] if uri else []
    with _lock:
        _chosen[:] = places
        _by_code[:] = places


def is_chosen() -> bool:
    """Return whether code, a setting or the environment has named a database or server."""
    with _lock:
        return bool(_by_code or settings.db)


def _settings_place() -> Place:
    """Return what the settings say; MLflow's variable may name what only MLflow can use."""
    uri = settings.db
    if not settings.is_chosen("db") and Settings.db.variable() == _MLFLOWS:
        try:
            return resolve(uri)
        except InvalidParameterError as error:
            notices.warn(
                f"{_MLFLOWS} is left aside: {error.message}. Runs go to a database file.\n"
                "hint: NBTRACK_DB names the file, or a server.",
                cause=_MLFLOWS,
            )
            return resolve_path("")
    return resolve(uri)
