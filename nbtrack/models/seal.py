"""A seal tells later whether a model was saved by this very user, and is unchanged.

A pickle runs code when it is loaded. So a model's directory carries the digests of its files,
signed with a key that only this user has; a model whose seal is missing, broken or somebody
else's is loaded only when the user says so.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

FILE = "nbtrack-seal.json"
_KEY_BYTES = 32


def seal(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the seal of a directory's files, as a file to put beside them.

    Without a place for the key there is no seal: an empty mapping.
    """
    key = _key()
    if key is None:
        return {}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    content = {"files": digests, "hmac_sha256": _sign(key, digests)}
    return {FILE: json.dumps(content, indent=1, sort_keys=True).encode()}


def problem(directory: Path) -> str | None:
    """Return why a directory's seal does not hold, or None if this user saved just these files."""
    try:
        content = json.loads((directory / FILE).read_text("utf-8"))
        digests, signature = content["files"], content["hmac_sha256"]
        claimed = {str(name): str(digest) for name, digest in digests.items()}
    except FileNotFoundError:
        return "it carries no seal of nbtrack"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "its seal cannot be read"
    key = _key()
    # As bytes: a text that is not ASCII cannot be compared in constant time.
    given = str(signature).encode("utf-8", "replace")
    if key is None or not hmac.compare_digest(_sign(key, claimed).encode(), given):
        return "it was saved by somebody else, or on another machine"
    found = {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file() and path.name != FILE
    }
    return None if found == claimed else "its files were changed after it was saved"


def _sign(key: bytes, digests: Mapping[str, str]) -> str:
    message = json.dumps(digests, sort_keys=True).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _key_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("nbtrack", appauthor=False)) / "seal.key"


def _key() -> bytes | None:
    return _read_or_make_key(_key_path())


def _put_in_place(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)
    except FileExistsError:
        return  # the other process was first: its key counts
    except OSError:  # a file system without hard links
        if not path.exists():
            aside.rename(path)


@lru_cache(maxsize=4)
def _read_or_make_key(path: Path) -> bytes | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Another process may be making the key right now: written aside, then linked in, which
        # fails if there is one already, so that a key is never half there and never replaced.
        if not path.exists():
            aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(secrets.token_bytes(_KEY_BYTES))
                _put_in_place(aside, path)
            finally:
                aside.unlink(missing_ok=True)
        key = path.read_bytes()
    except OSError:
        return None
    # An empty or shortened file is no secret: anybody could sign with it.
    return key if len(key) >= _KEY_BYTES else None
