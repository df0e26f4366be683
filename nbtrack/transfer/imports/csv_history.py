"""CSV files whose rows are steps: points of the metrics of one run, or of some."""

from __future__ import annotations

import re
import tempfile
import uuid
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtrack.transfer.imports.base import ForeignRun, ForeignSeries
from nbtrack.transfer.imports.csv_rows import Rows, is_missing, time_of
from nbtrack.types import RunStatus

STEPS = ("step", "_step", "global_step", "trainer/global_step", "iteration", "iter", "epoch")
"""Columns that say where a row stands, the first one that is there."""

RUNS = ("run_id", "run_name", "run", "id", "name")
"""Columns that say which run a row is of."""

SOURCE_TAG = "nbtrack.import.source"
"""Tag of runs whose id is made here: where they are from."""

_TIMES = ("timestamp", "_timestamp", "wall_time", "time", "date")
_ENDS = ("metrics.csv", "history.csv", "log.csv", "training.csv", "training.log")

ID = re.compile("[0-9a-f]{32}")
"""A run's id, as nbtrack and MLflow give it."""

_NAMESPACE = uuid.UUID("0b8e7b4e-8a3d-5c2f-9a34-6e6274726163")
_PARTS = 3  # of a path that tell a file from others of its name
_POINTS = 65_536  # most of them in memory at once
_INT64 = 2**63
_MAX_YAML = 2**20  # bytes
_MAX_PARAMS = 10_000


class Histories:
    """The runs of a file. Their points wait in a temporary file until they are asked for.

    Parameters
    ----------
    rows
        The file.
    metrics, params
        Columns that are so, whatever their cells look like.
    experiment
        The experiment that the runs go into.
    problems
        Where it is told what is left out.
    """

    def __init__(
        self,
        rows: Rows,
        metrics: Collection[str],
        params: Collection[str],
        experiment: str,
        problems: list[str],
    ) -> None:
        self._rows = rows
        self._experiment = experiment
        self._problems = problems
        self._points = _Points()
        self._step = _find(rows, STEPS)
        self._run = run_column(rows)
        self._time = _find(rows, _TIMES)
        self._values = {
            name: place
            for name, place in rows.columns.items()
            if name and place not in (self._step, self._run, self._time)
        }
        self._is_metric = dict.fromkeys(metrics, True) | dict.fromkeys(params, False)

    def runs(self) -> Iterator[ForeignRun]:
        """Yield the runs, when all of the file was read."""
        found: dict[str, _History] = {}
        for line, cells in self._rows:
            step = self._step_of(cells)
            if step is None:
                self._rows.tell(line, "it was left out, because its step is no whole number")
                continue
            name = "" if self._run is None else cells[self._run]
            history = found.get(name)
            if history is None:
                history = found[name] = _History(self._id(name, cells))
            self._add(history, line, cells, step)
        self._rows.finish()
        changed = changed_ms(self._rows.path)
        params = self._hparams(self._rows.path)
        for name, history in found.items():
            self._problems += [
                f"{self._rows.path}: the texts of the column {column!r} were left out, because they"
                " differ from row to row."
                for column in sorted(history.changing)
            ]
            yield ForeignRun(
                history.run_id,
                name or _run_name(self._rows.path),
                self._experiment,
                RunStatus.FINISHED,
                changed if history.start is None else history.start,
                changed if history.end is None else history.end,
                params=params | history.constant(),
                tags={SOURCE_TAG: f"csv:{self._rows.path.name}"},
                series=lambda run_id=history.run_id: self._points.series(run_id),  # type: ignore[misc]
            )

    def _id(self, name: str, cells: list[str]) -> str:
        if ID.fullmatch(name):
            return name
        first = sorted((key, cells[place]) for key, place in self._values.items() if cells[place])
        return made_id(self._rows.path, name or repr(first))

    def _add(self, history: _History, line: int, cells: list[str], step: int) -> None:
        time = None if self._time is None else time_of(cells[self._time])
        if time is not None:
            history.start = time if history.start is None else min(history.start, time)
            history.end = time if history.end is None else max(history.end, time)
        for name, place in self._values.items():
            text = cells[place]
            if is_missing(text):
                continue
            number = self._rows.number(text)
            # The first value says it for all of the column.
            if self._is_metric.setdefault(name, number is not None):
                if number is None:
                    self._rows.tell(line, f"{text[:80]!r} in the column {name!r} is no number")
                else:
                    self._points.add(history.run_id, name, step, time or 0, number)
            elif history.texts.setdefault(name, text) != text:
                history.changing.add(name)

    def _step_of(self, cells: list[str]) -> int | None:
        if self._step is None:
            return 0
        step = self._rows.number(cells[self._step])
        return int(step) if step is not None and abs(step) < _INT64 and step % 1 == 0 else None

    def _hparams(self, path: Path) -> dict[str, str]:
        """Return the params of a file beside it, as Lightning writes them."""
        import yaml

        beside = path.with_name("hparams.yaml")
        if path.name != "metrics.csv" or not beside.is_file():
            return {}
        params: dict[str, str] = {}
        try:
            if beside.stat().st_size > _MAX_YAML:
                raise ValueError(f"it has more than {_MAX_YAML} bytes")
            _flatten(yaml.safe_load(beside.read_text(encoding="utf-8")), "", params)
        except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
            self._problems.append(f"{beside} was left out: {' '.join(str(error).split())}.")
            return {}
        return params

    def close(self) -> None:
        """Let go of the points."""
        self._points.close()


@dataclass(slots=True)
class _History:
    """What is known of a run, but for its points."""

    run_id: str
    start: int | None = None
    end: int | None = None
    texts: dict[str, str] = field(default_factory=dict)
    changing: set[str] = field(default_factory=set)

    def constant(self) -> dict[str, str]:
        """Return the texts that are the same in all rows."""
        return {name: text for name, text in self.texts.items() if name not in self.changing}


class _Points:
    """Points by run and metric: some in memory, the others in a temporary file."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], _Waiting] = defaultdict(_new)
        self._count = 0
        self._file = tempfile.TemporaryFile(prefix="nbtrack-import-")  # noqa: SIM115 - see close
        self._blocks: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)

    def add(self, run_id: str, key: str, step: int, time: int, value: float) -> None:
        """Add a point."""
        steps, times, values = self._waiting[run_id, key]
        steps.append(step)
        times.append(time)
        values.append(value)
        self._count += 1
        if self._count >= _POINTS:
            self._write()

    def _write(self) -> None:
        for (run_id, key), columns in self._waiting.items():
            self._blocks[run_id].append((key, self._file.tell(), len(columns[0])))
            for column in columns:
                column.tofile(self._file)
        self._waiting.clear()
        self._count = 0

    def series(self, run_id: str) -> Iterator[ForeignSeries]:
        """Yield the points of a run."""
        import numpy as np

        self._file.seek(0, 2)
        self._write()
        for key, offset, count in self._blocks[run_id]:
            self._file.seek(offset)
            yield ForeignSeries(
                key,
                np.frombuffer(self._file.read(8 * count), np.int64),
                np.frombuffer(self._file.read(8 * count), np.int64),
                np.frombuffer(self._file.read(8 * count), np.float64),
            )

    def close(self) -> None:
        """Let go of the temporary file."""
        self._file.close()


_Waiting = tuple["array[int]", "array[int]", "array[float]"]


def _new() -> _Waiting:
    return array("q"), array("q"), array("d")


def one_point(metrics: Mapping[str, float], time: int) -> Iterator[ForeignSeries]:
    """Yield metrics of one point each."""
    import numpy as np

    for key, value in metrics.items():
        yield ForeignSeries(key, np.array([0], "i8"), np.array([time], "i8"), np.array([value]))


def made_id(path: Path, *names: str) -> str:
    """Return the id of a run that has none, from what tells it from others.

    Of the path the last three parts count: a moved folder is the same runs.
    """
    place = path.resolve().parts[-_PARTS:]
    return uuid.uuid5(_NAMESPACE, repr((place, names))).hex


def changed_ms(path: Path) -> int:
    """Return when a file was changed last: the time of what has none of its own."""
    return max(path.stat().st_mtime_ns // 1_000_000, 0)


def run_column(rows: Rows) -> int | None:
    """Return which column says of which run a row is, if one does."""
    return _find(rows, RUNS)


def _find(rows: Rows, names: tuple[str, ...]) -> int | None:
    places = {name.lower(): place for name, place in reversed(rows.columns.items())}
    return next((places[name] for name in names if name in places), None)


def _run_name(path: Path) -> str:
    """Return the name of a file, or of its folder where all such files have that name."""
    return path.resolve().parent.name if path.name in _ENDS else path.stem


def _flatten(value: Any, prefix: str, into: dict[str, str]) -> None:
    """Add the params of nested mappings, with ``/`` between their keys."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            _flatten(part, f"{prefix}/{key}" if prefix else str(key), into)
    elif prefix:
        into[prefix] = str(value)
        if len(into) > _MAX_PARAMS:
            raise ValueError(f"it has more than {_MAX_PARAMS} params")
