"""Names for bytes: digests with their algorithm as prefix. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from nbtrack.errors import InvalidParameterError

_MAX_PATH = 1_000
_RESERVED = re.compile(  # devices to Windows, in any folder and with any extension
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE
)


def sha256(data: bytes | memoryview) -> str:
    """Return the digest of bytes.

    Examples
    --------
    >>> sha256(b"")[:20]
    'sha256:e3b0c44298fc1'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tree_digest(files: Mapping[str, str]) -> str:
    """Return one digest for a directory, from the digests of its files by path.

    Examples
    --------
    >>> tree_digest({"a": "sha256:1", "b": "sha256:2"}) == tree_digest(
    ...     {"b": "sha256:2", "a": "sha256:1"}
    ... )
    True
    """
    lines = "".join(f"{digest} {path}\n" for path, digest in sorted(files.items()))
    return sha256(lines.encode("utf-8", "surrogatepass"))


def check_path(path: str) -> str:
    """Return an artifact's path if it stays inside its run's folder, with ``/`` between parts.

    Raises
    ------
    InvalidParameterError
        The path is empty, absolute, climbs by ``..``, or has parts that some system reads
        otherwise (a drive, a backslash, a control character, half an emoji, a name such as
        ``NUL.txt``, a dot at the end).

    Examples
    --------
    >>> check_path("plots/roc.json")
    'plots/roc.json'
    """
    parts = path.split("/")
    bad = (
        not path
        or len(path) > _MAX_PATH
        or any(part in {"", ".", ".."} or part != part.strip().rstrip(".") for part in parts)
        or any(_RESERVED.fullmatch(part) for part in parts)
        or any(ord(char) < ord(" ") or char in '\\:*?"<>|' for char in path)
        or any("\ud800" <= char <= "\udfff" for char in path)
    )
    if bad:
        raise InvalidParameterError(
            f"{path!r} is no path for an artifact.",
            hint="Use a relative path with / between its parts and no '..', and no names that a "
            "system reads otherwise (NUL, a dot at the end), for example plots/roc.json.",
        )
    return path
