"""Files of an archive, read with care: links lead nowhere else, and nothing waits for a pipe."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nbtrack.errors import IntegrityError

_MAX_YAML = 10 * 2**20
_MAX_VALUE = 16 * 2**20

Tell = Callable[[str], None]


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises
    ------
    OSError, IntegrityError
        It is not there; it is a link, a pipe or a device.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.open(path, flags | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise IntegrityError(f"{path} is no plain file.")
        return os.fdopen(file, "rb")
    except BaseException:
        os.close(file)
        raise


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of a file that is not to be long.

    Raises
    ------
    OSError, IntegrityError
        It cannot be read; it is longer than `limit`.
    """
    with open_plain(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise IntegrityError(f"{path} is longer than {limit:,} bytes.")
    return data


def parse_yaml(data: bytes, called: str) -> dict[str, Any]:
    """Return a YAML mapping; nothing in it is executed.

    Raises
    ------
    IntegrityError
        It is none.

    Examples
    --------
    >>> parse_yaml(b"name: iris", "meta.yaml")
    {'name': 'iris'}
    """
    import yaml

    # libyaml's, where it is there: a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(data, Loader=loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{called} is no YAML: {error}.") from error
    if not isinstance(found, dict):
        raise IntegrityError(f"{called} is no YAML mapping.")
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file: a mapping.

    Raises
    ------
    OSError, IntegrityError
        It cannot be read, or is none.
    """
    return parse_yaml(read_bytes(path, _MAX_YAML), str(path))


def folders(path: Path) -> list[Path]:
    """Return the folders right below one, sorted; none if it is not there. Links are left out."""
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:
        return sorted(Path(e.path) for e in entries if e.is_dir(follow_symlinks=False))


def walk(root: Path, tell: Tell) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder, sorted: with ``/`` in the path that each has there.

    A link to a file below the same folder is that file. Others are not followed, and told.
    """
    if not root.is_dir():
        return
    top, waiting = root.resolve(), [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        below = []
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                below.append((f"{path}/", Path(entry.path)))
            elif entry.is_file(follow_symlinks=False):
                yield path, Path(entry.path)
            elif (linked := _linked(Path(entry.path), top)) is not None:
                yield path, linked
            else:
                tell(f"{entry.path} was left out: it is no file, or a link that leads elsewhere.")
        waiting += reversed(below)


def _linked(path: Path, top: Path) -> Path | None:
    """Return the file that a link leads to, if that is below a folder."""
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return found if found.is_file() and found.is_relative_to(top) else None


def read_values(root: Path, tell: Tell) -> dict[str, str]:
    """Return what MLflow keeps as a file for each key: params, tags, aliases."""
    values = {}
    for key, path in walk(root, tell):
        try:
            values[key] = read_bytes(path, _MAX_VALUE).decode("utf-8", "replace")
        except (OSError, IntegrityError) as error:
            tell(f"{path} was left out: {error}")
    return values
