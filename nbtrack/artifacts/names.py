"""Paths of one run that cannot be told apart everywhere, or exclude each other. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from nbtrack.errors import InvalidParameterError

_MOST = 20_000  # paths that are remembered of a run; `download` looks at all of them again


def folded(path: str) -> str:
    r"""Return what two paths have in common that some file system takes for the same.

    Examples
    --------
    >>> folded("Plots/Caf\u00e9") == folded("plots/cafe\u0301")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class Names:
    """The paths that a run has.

    Examples
    --------
    >>> names = Names(["a/b"])
    >>> names.add("a/c")
    >>> names.clash("A/B"), names.clash("a"), names.clash("a/c/d"), names.clash("a/b")
    ('a/b', 'a/b', 'a/c', None)
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}  # by folder: a path in it
        for path in paths:
            self.add(path)

    def clash(self, path: str) -> str | None:
        """Return the other path that this one cannot be beside; None if there is none."""
        key = folded(path)
        other = self._files.get(key, path)
        if other != path:
            return other
        return self._folders.get(key) or next(
            (self._files[folder] for folder in _above(key) if folder in self._files), None
        )

    def add(self, path: str) -> None:
        """Note a path."""
        if len(self._files) < _MOST:
            key = folded(path)
            self._files.setdefault(key, path)
            for folder in _above(key):
                self._folders.setdefault(folder, path)

    def claim(self, paths: Iterable[str]) -> None:
        """Note new paths, all or none.

        Raises
        ------
        InvalidParameterError
            One of them cannot be beside another one, or beside one that is there.
        """
        paths = list(paths)
        new = Names()
        for path in paths:
            other = self.clash(path) or new.clash(path)
            if other is not None:
                raise InvalidParameterError(
                    f"The artifact {path!r} cannot be beside {other!r}: "
                    + (
                        "some systems take both for the same file."
                        if folded(path) == folded(other)
                        else "one of them would be a folder of the other."
                    ),
                    hint="Give it another name.",
                )
            new.add(path)
        for path in paths:
            self.add(path)


def _above(path: str) -> Iterable[str]:
    place = path.rfind("/")
    while place > 0:
        yield path[:place]
        place = path.rfind("/", 0, place)
