"""Lines of a metric's file in MLflow's store of files: one for each point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from nbtrack.transfer.imports.mlflow.files import Tell, open_plain

PARTS = 65_536  # points at once
_LONGEST = 4_096  # of a line, in bytes
_INT64 = 2**63
_NO_STEP, _PLAIN = 2, 3  # words of a line: time and value; and step
_NOTHING = ("", "")  # neither name nor digest of a dataset

Point = tuple[int, float, int, Sequence[str]]
"""Timestamp, value, step, and the words that follow."""


class Lines:
    """The points of a file; what is no point is counted, and told at the end.

    Parameters
    ----------
    path
        The file.
    tell
        Told how many lines could not be read.
    has_run
        The first of the words that follow the step is a run.
    """

    def __init__(self, path: Path, tell: Tell, *, has_run: bool = False) -> None:
        self._path = path
        self._tell = tell
        self._has_run = has_run

    def __iter__(self) -> Iterator[Point]:
        broken: list[int] = []
        number = 0
        try:
            with open_plain(self._path) as file:
                while line := file.readline(_LONGEST):
                    number += 1
                    point = self._point(line) if line.endswith(b"\n") or _ends(file) else None
                    if point is not None:
                        yield point
                        continue
                    broken.append(number)
                    while line and not line.endswith(b"\n"):
                        line = file.readline(_LONGEST)
        except OSError as error:
            self._tell(f"{self._path} was left out: {error}.")
        if broken:
            lines = "1 line" if len(broken) == 1 else f"{len(broken)} lines"
            self._tell(
                f"{lines} of {self._path} were left out: they are no points (the first is line "
                f"{broken[0]})."
            )

    def _point(self, line: bytes) -> Point | None:
        words = line.split()
        try:
            time, value = int(words[0]), float(words[1])
            # Before MLflow 1.0 there was no step.
            step = int(words[2]) if len(words) > _NO_STEP or self._has_run else 0
            rest = _NOTHING if len(words) <= _PLAIN and not self._has_run else self._words(line)
        except (ValueError, IndexError):
            return None
        fits = -_INT64 <= step < _INT64 and -_INT64 <= time < _INT64
        return (time, value, step, rest) if fits else None

    def _words(self, line: bytes) -> Sequence[str]:
        """Return what follows the step: the run, if there is one, and a dataset's name and digest.

        The name may have blanks.
        """
        words = line.decode("utf-8", "replace").rstrip("\r\n").split(" ")[_PLAIN:]
        run = [words.pop(0)] if self._has_run else []
        if not words:
            return [*run, *_NOTHING]
        *name, digest = words
        if not name:
            raise ValueError("There is a dataset without a digest.")
        return [*run, " ".join(name), digest]


def _ends(file: BinaryIO) -> bool:
    """Return whether the rest of a file is empty: its last line may have no end."""
    place = file.tell()
    more = file.read(1)
    file.seek(place)
    return not more
