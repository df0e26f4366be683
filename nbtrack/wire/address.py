"""Addresses of tracking servers, and who we say that we are there. Light: no HTTP in here."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from nbtrack.errors import InvalidParameterError

_SCHEMES = ("http://", "https://")
_PREFIXES = ("NBTRACK_TRACKING_", "MLFLOW_TRACKING_")


@dataclass(frozen=True, slots=True)
class Address:
    """A tracking server.

    As text it is the URL without user and password: that is what may be shown, and stored.
    """

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Who we are to a server: a token, or a user and a password, or nobody."""

    token: str = ""
    username: str = ""
    password: str = ""


def is_address(uri: str) -> bool:
    """Return whether a tracking URI is that of a server.

    Examples
    --------
    >>> is_address("http://127.0.0.1:5000"), is_address("nbtrack.db")
    (True, False)
    """
    return uri.lower().startswith(_SCHEMES)


def parse_address(uri: str) -> Address:
    """Return the server that a tracking URI means.

    Raises
    ------
    InvalidParameterError
        It is none, or has parts that no such address has.

    Examples
    --------
    >>> address = parse_address("https://me:secret@host:5000/mlflow/")
    >>> str(address), address.username
    ('https://host:5000/mlflow', 'me')
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not is_address(uri) or not host or any(char.isspace() or char < " " for char in uri):
        raise InvalidParameterError(
            f"{_masked(uri)!r} is no address of a tracking server.",
            hint="Use for example http://127.0.0.1:5000.",
        )
    if parts.query or parts.fragment:
        raise InvalidParameterError(
            f"The address {_masked(uri)!r} of a tracking server has a query or a fragment.",
            hint="Leave out what follows '?' or '#'.",
        )
    place = f"[{host}]" if ":" in host else host
    netloc = place if port is None else f"{place}:{port}"
    return Address(
        urlunsplit((parts.scheme.lower(), netloc, parts.path.rstrip("/"), "", "")),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def credentials(address: Address) -> Credentials:
    """Return who to be at a server: by its address, the environment, or MLflow's file.

    The variables are NBTRACK_TRACKING_TOKEN, _USERNAME and _PASSWORD, and MLflow's of these
    names; the file is ``~/.mlflow/credentials``. They are no settings, because settings are shown.
    """
    if address.username:
        return Credentials("", address.username, address.password)
    token = _variable("TOKEN")
    if token:
        return Credentials(token)
    username, password = _variable("USERNAME"), _variable("PASSWORD")
    if not username:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(Path("~/.mlflow/credentials").expanduser(), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError, RuntimeError):
            parser.clear()  # MLflow's own file, which need not be there, nor be ours to judge
        username = parser.get("mlflow", "mlflow_tracking_username", fallback="")
        password = password or parser.get("mlflow", "mlflow_tracking_password", fallback="")
    return Credentials("", username, password)


def _variable(name: str) -> str:
    return next((value for p in _PREFIXES if (value := os.environ.get(p + name))), "")


def _masked(uri: str) -> str:
    """Return an address that could not be read, without what may be a password."""
    before, at, after = uri.rpartition("@")
    return f"{before.partition('://')[0]}://***@{after}" if at else uri
