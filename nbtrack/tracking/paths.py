"""Paths of artifacts, and files of the user's disk on their way to them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbtrack.artifacts.digest import check_path
from nbtrack.errors import InvalidParameterError, NotFoundError

AnyPath = str | os.PathLike[str]


def inside(path: AnyPath | None) -> str:
    """Return a path among the artifacts in its plain form; empty for all of them.

    Raises
    ------
    InvalidParameterError
        It is absolute, climbs by ``..``, or has characters that some system reads otherwise.

    Examples
    --------
    >>> inside("plots//./roc.png"), inside("plots/"), inside(None)
    ('plots/roc.png', 'plots', '')
    """
    text = "" if path is None else os.fspath(path)
    if not isinstance(text, str) or text.startswith("/"):
        return check_path(str(text))
    parts = [part for part in text.split("/") if part not in {"", "."}]
    return check_path("/".join(parts)) if parts else ""


def file_inside(path: AnyPath) -> str:
    """Return the path that a file gets among the artifacts; it may not be empty."""
    return inside(path) or check_path("")


def local_files(local: Path, folder: str) -> list[tuple[Path, str]]:
    """Return the files at or below a place on the disk, and the path that each gets.

    Links are followed, each folder once.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is nothing; a name cannot be kept; something is no file: a pipe, a device.
    """
    prefix = f"{folder}/" if folder else ""
    if local.is_dir():
        found = [
            (file, check_path(prefix + file.relative_to(local).as_posix()))
            for file in _below(local)
        ]
    else:
        found = [(local, check_path(prefix + local.name))]
    for file, _ in found:
        _check_file(file)
    return found


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Say what it means when a file cannot be read.

    Raises
    ------
    NotFoundError, InvalidParameterError
        It has gone; it cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise _absent(file) from None
    except OSError as error:
        raise InvalidParameterError(
            f"The file {str(file)!r} cannot be read: {error.strerror}.",
            hint="Look at its permissions.",
        ) from error


def _below(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(place, name) for name in sorted(files))


def _check_file(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError):
        raise _absent(file) from None
    if not stat.S_ISREG(mode):
        raise InvalidParameterError(
            f"{str(file)!r} is no file that can be logged: a pipe, a socket or a device.",
            hint="Log ordinary files, and folders of them.",
        )


def _absent(file: Path) -> NotFoundError:
    return NotFoundError(
        f"There is no file {str(file)!r}.",
        hint=f"Relative paths begin at {os.getcwd()}.",  # noqa: PTH109
    )
