"""Files below a folder: each whole or not at all, and none outside of it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nbtrack.errors import IntegrityError, StoreError

_KEY = re.compile(r"[/\w.\- :]+" if os.name != "nt" else r"[/\w.\- ]+")  # MLflow reads no others
_LONGEST = 255  # bytes of a part of a path


class Folder:
    """A folder, and a place beside it where files wait until they are whole.

    Parameters
    ----------
    root
        The folder; it is there, and nothing is written elsewhere.
    waiting
        The place, on the same disk.
    """

    def __init__(self, root: Path, waiting: Path) -> None:
        self.root = root.resolve()
        self._waiting = waiting
        self._count = 0

    def new(self) -> Path:
        """Return the path of something that waits."""
        self._count += 1
        return self._waiting / str(self._count)

    def put(self, path: Path, data: bytes | Iterable[bytes]) -> int:
        """Write a file, which may be there already; return its size.

        Raises
        ------
        IntegrityError
            It would be outside of the folder, by a link that somebody has made.
        """
        waiting, size = self.new(), 0
        try:
            with waiting.open("xb") as file:
                for piece in [data] if isinstance(data, bytes) else data:
                    size += file.write(piece)
            self.move(waiting, path)
        finally:
            waiting.unlink(missing_ok=True)
        return size

    def put_yaml(self, path: Path, values: Mapping[str, Any]) -> None:
        """Write a file of YAML."""
        import yaml

        text = yaml.safe_dump(dict(values), allow_unicode=True, default_flow_style=False)
        self.put(path, text.encode())

    def move(self, waiting: Path, path: Path) -> None:
        """Put what waited to its place."""
        path.parent.mkdir(parents=True, exist_ok=True)
        inside = path.parent.resolve()
        if not any(inside.is_relative_to(place) for place in (self.root, self._waiting)):
            raise IntegrityError(
                f"{path} is not written: it would be outside of {self.root}.",
                hint="Look at the links in the folder, or export to another one.",
            )
        waiting.replace(path)


@contextmanager
def opened(root: Path) -> Iterator[Folder]:
    """Open a folder to write to; it is made if it is not there.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()
        with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as waiting:
            yield Folder(root, Path(waiting))
    except OSError as error:
        raise StoreError(
            f"The folder {root} cannot be written: {error}.",
            hint="Look at its permissions and the room on the disk; then export again.",
        ) from error


def read_yaml(path: Path) -> dict[str, Any] | None:
    """Return what a file of YAML has; None if there is none, or it has no mapping."""
    import yaml

    with suppress(OSError, ValueError, yaml.YAMLError, RecursionError):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(values, dict):
            return values
    return None


def file_keys(keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the keys that can be paths of files beside each other, and those that cannot.

    Examples
    --------
    >>> file_keys(["a", "b/c", "../d", "/e", "a/f", "g?", "b//c", "."])
    (['a', 'b/c'], ['../d', '/e', 'a/f', 'g?', 'b//c', '.'])
    """
    kept: dict[str, None] = {}
    folders: set[str] = set()
    refused = []
    for key in keys:
        above = [key[:place] for place, char in enumerate(key) if char == "/"]
        if (
            not _KEY.fullmatch(key)
            or any(
                part in ("", ".", "..") or len(part.encode()) > _LONGEST for part in key.split("/")
            )
            or key in folders
            or any(folder in kept for folder in above)
        ):
            refused.append(key)
        else:
            kept[key] = None
            folders.update(above)
    return list(kept), refused
