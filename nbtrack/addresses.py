"""Addresses where contents of files may be kept: what fsspec reaches. Pure, but for what is there.

Asked wherever somebody names one, so that what cannot work is said there, and not out of a fit.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nbtrack.errors import InvalidParameterError, MissingPackageError

_READ_ONLY = {"http", "https", "data", "reference"}
_WORDS_OF_MLFLOW = {"mlflow-artifacts", "runs", "models", "dbfs"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://?")  # one letter would be a drive
_EXAMPLE = "For example s3://bucket/folder, gs://bucket/folder, or a folder of a disk."


def scheme_of(location: str) -> str:
    """Return the scheme of an address in small letters; ``file`` for a path.

    Examples
    --------
    >>> scheme_of("S3://bucket/folder"), scheme_of("/mnt/big"), scheme_of("c:/data")
    ('s3', 'file', 'file')
    """
    found = _SCHEME.match(location)
    return found[1].lower() if found else "file"


def usable(location: str) -> str:
    """Return a noted address in the form in which it is used; empty if it is none for contents.

    What MLflow's servers note for an experiment means something to them only, and a relative path
    to the process that noted it.

    Examples
    --------
    >>> usable("s3://bucket/"), usable("/mnt/big"), usable("mlflow-artifacts:/1"), usable("here")
    ('s3://bucket', 'file:///mnt/big', '', '')
    """
    scheme = scheme_of(location)
    if scheme in _READ_ONLY | _WORDS_OF_MLFLOW or "::" in location:
        return ""
    if scheme != "file":
        return scheme + location[len(scheme) :].rstrip("/")
    path = _path(location)
    return path.as_uri() if path.is_absolute() else ""


def _path(location: str) -> Path:
    if not location.lower().startswith("file:"):
        return Path(location)
    return Path(url2pathname(urlsplit(location).path))


def check_address(location: str) -> str:
    """Return an address in the form in which it is kept: a path becomes an absolute one.

    Raises
    ------
    InvalidParameterError
        It is no address that can be written to.
    MissingPackageError
        fsspec, or its package for this kind of address, is not installed.

    Examples
    --------
    >>> check_address("/mnt/big/"), check_address("file:///mnt/big")
    ('file:///mnt/big', 'file:///mnt/big')
    """
    scheme = scheme_of(location)
    if (
        any(ord(char) < ord(" ") for char in location)
        or "::" in location
        or not location.removeprefix(f"{scheme}:").strip(" /")
    ):
        raise InvalidParameterError(f"{location!r} is no address for artifacts.", hint=_EXAMPLE)
    if scheme in _READ_ONLY | _WORDS_OF_MLFLOW:
        raise InvalidParameterError(
            f"Artifacts cannot be kept at {location!r}: nothing can be written to {scheme}.",
            hint=_EXAMPLE,
        )
    if "@" in urlsplit(location.replace("[", "").replace("]", "")).netloc:
        raise InvalidParameterError(
            "The address for artifacts has a user or a password in it, which would be stored.",
            hint="Say who you are where fsspec looks for it, such as AWS_PROFILE for s3.",
        )
    _need(scheme)
    return usable(location) or _path(location).expanduser().absolute().as_uri()


def _need(scheme: str) -> None:
    try:
        from fsspec.registry import get_filesystem_class, known_implementations, registry
    except ImportError:
        raise MissingPackageError(
            f"Artifacts at an address of {scheme} need the package fsspec.",
            hint="pip install nbtrack[s3] for S3, or nbtrack[fsspec] and fsspec's package for it.",
        ) from None
    if scheme not in known_implementations and scheme not in registry:
        raise InvalidParameterError(
            f"fsspec knows no address that begins with {scheme!r}.",
            hint=f"{_EXAMPLE} Others: {', '.join(sorted(known_implementations))}.",
        )
    try:
        get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        raise MissingPackageError(
            f"Artifacts at an address of {scheme} need a package: {error}.",
            hint="pip install s3fs for s3, gcsfs for gs, adlfs for abfs.",
        ) from None
