"""CSV files: a table of runs, or the histories of some.

*A table of runs*, a row each: a file whose columns begin with ``metrics.``, ``params.`` or
``tags.``, as ``search_runs`` and ``mlflow experiments csv`` write them; or one with a run and a
status (`nbtrack.runs()`, Weights & Biases); or one without a step. Where columns have no such
beginning, numbers with a fraction are metrics, and whole numbers and texts are params, as the first
row that has a value shows. Run ids are kept. An empty cell is no value.

*Histories*: a file with a column ``step``, ``epoch`` (Keras' CSVLogger), or another name of these;
all other numbers of a row are points at its step. Rows belong to the run that a column ``run_id``,
``run_name`` or ``run`` names, else all are one run. A text that is the same in all rows is a param.
Lightning's ``hparams.yaml`` beside its ``metrics.csv`` gives params, too. Of a folder each
``metrics.csv`` in it is read.

A row without an id of its own gets one that follows from the last parts of the file's path and what
names the row; a history from those and its first row. Files are read twice, a row at a time.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

from nbtrack.errors import NbtrackError
from nbtrack.transfer.imports.base import ForeignExperiment, ForeignModel, ForeignRun
from nbtrack.transfer.imports.csv_history import (
    ID,
    RUNS,
    SOURCE_TAG,
    STEPS,
    Histories,
    changed_ms,
    made_id,
    one_point,
    run_column,
)
from nbtrack.transfer.imports.csv_rows import Rows, is_missing, time_of
from nbtrack.types import RunStatus

_PREFIXES = ("metrics.", "params.", "tags.")
_STATES = ("status", "state")
_OWN = {
    "id": ("run_id", "id"),
    "name": ("tags.mlflow.runname", "run_name", "name", "run"),
    "status": _STATES,
    "start": ("start_time", "started", "created", "created_at"),
    "end": ("end_time", "ended"),
    "duration": ("duration_s", "runtime"),
    "user": ("tags.mlflow.user", "user_id", "user"),
    "parent": ("tags.mlflow.parentrunid",),
    "experiment": ("experiment",),
}
"""What a run is, by the lower-case names of columns that say so, the first of them first."""
_IGNORED = ("experiment_id", "artifact_uri", "cell")  # of the place that it comes from
_WORDS = {"crashed": "FAILED", "error": "FAILED", "preempted": "KILLED", "pending": "SCHEDULED"}
_FRACTION = re.compile(r"[.,en]", re.IGNORECASE)  # 0.5, 1e-3, inf, nan
_LONGEST_S = 10**10

_Kinds = dict[int, tuple[str, str]]
"""Of the columns by their place: metrics, params or tags, and the key."""

Kind = Literal["runs", "history"]


def is_csv(path: Path) -> bool:
    """Return whether a file is CSV by its name, or a folder has Lightning's ``metrics.csv``."""
    if path.is_dir():
        return next(_csv_files(path), None) is not None
    return path.is_file() and path.suffix.lower() in {".csv", ".tsv"}


class CsvArchive:
    """Runs in CSV files; see `nbtrack.transfer.imports.base.Archive`.

    Parameters
    ----------
    path
        A file, or a folder with files named ``metrics.csv``.
    experiment_name
        The experiment that runs go into which name none; None: the name of the file or folder.
    kind
        ``runs``: a row is a run; ``history``: a row is a step; None: found out as above.
    metrics, params
        Names of columns that are so, whatever they look like.
    """

    def __init__(
        self,
        path: Path,
        *,
        experiment_name: str | None = None,
        kind: Kind | None = None,
        metrics: tuple[str, ...] = (),
        params: tuple[str, ...] = (),
    ) -> None:
        self._path = path
        self._kind = kind
        self._metrics, self._params = set(metrics), set(params)
        self._experiment = experiment_name or path.resolve().stem or "csv"
        self._fixed = experiment_name is not None
        self.label = f"the CSV {'folder' if path.is_dir() else 'file'} {path}"
        self.problems: list[str] = []

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments: those that the rows name, and the one of those that name none."""
        names = {self._experiment: None}
        for path in _csv_files(self._path):
            names |= dict.fromkeys(self._named_experiments(path))
        yield from map(ForeignExperiment, names)

    def _named_experiments(self, path: Path) -> Iterator[str]:
        try:
            rows = Rows(path, [])
        except (NbtrackError, OSError):
            return  # told when its runs are read
        columns = _by_names(rows.columns)
        if not self._fixed and self._is_table(rows) and "experiment" in columns:
            for _, cells in rows:
                if name := cells[columns["experiment"]]:
                    yield name

    def run_count(self) -> int:
        """Return how many runs there are, of the rows that can be read."""
        count = 0
        for path in _csv_files(self._path):
            try:
                rows = Rows(path, [])
            except (NbtrackError, OSError):
                continue  # told when its runs are read
            if self._is_table(rows):
                count += sum(1 for _ in rows)
            else:
                run = run_column(rows)
                count += 1 if run is None else len({cells[run] for _, cells in rows})
        return count

    def runs(self) -> Iterator[ForeignRun]:
        """Yield the runs; what cannot be read is told with its line."""
        for path in _csv_files(self._path):
            try:
                rows = Rows(path, self.problems)
                yield from self._table(rows) if self._is_table(rows) else self._histories(rows)
            except NbtrackError as error:
                self.problems.append(error.message)
            except OSError as error:
                self.problems.append(f"{path} cannot be read: {error}.")

    def _histories(self, rows: Rows) -> Iterator[ForeignRun]:
        histories = Histories(rows, self._metrics, self._params, self._experiment, self.problems)
        with closing(histories):  # who asks for the next run has stored this one
            yield from histories.runs()

    def registered_models(self) -> Iterator[ForeignModel]:
        """Yield nothing: CSV files have none."""
        return iter(())

    def close(self) -> None:
        """Do nothing: no file is open but while runs are read."""

    def _is_table(self, rows: Rows) -> bool:
        if self._kind is not None:
            return self._kind == "runs"
        names = [name.lower() for name in rows.columns]
        if any(name.startswith(_PREFIXES) for name in rows.columns):
            return True
        if any(name in names for name in RUNS) and any(name in names for name in _STATES):
            return True
        return not any(name in names for name in STEPS)

    # ------------------------------------------------------------------------- a row is a run

    def _table(self, rows: Rows) -> Iterator[ForeignRun]:
        own = _by_names(rows.columns)
        kinds = self._kinds(rows, set(own.values()))
        seen: Counter[str] = Counter()
        for line, cells in rows:
            row = {what: cells[place] for what, place in own.items()}
            given, name = row.get("id", ""), row.get("name", "")
            tags: dict[str, str] = {}
            if ID.fullmatch(given):
                run_id = given
                if seen[given]:
                    rows.tell(line, f"it was left out, because there was a run {given} before")
                    continue
            else:
                # The same name again is another run.
                run_id = made_id(rows.path, given or name, str(seen[given or name]))
                tags[SOURCE_TAG] = f"csv:{rows.path.name}"
            seen[given or name] += 1
            start = time_of(row.get("start", ""))
            if start is None:
                start = changed_ms(rows.path)
            end = time_of(row.get("end", ""))
            duration = rows.number(row.get("duration", ""))
            if end is None and duration is not None and 0 <= duration < _LONGEST_S:
                end = start + round(duration * 1000)
            run = ForeignRun(
                run_id,
                name or given or f"{rows.path.stem} {line}",
                self._experiment if self._fixed else row.get("experiment") or self._experiment,
                _status(row.get("status", "")),
                start,
                end,
                row.get("user", ""),
                tags=tags,
                parent_run_id=row["parent"] if ID.fullmatch(row.get("parent", "")) else None,
            )
            yield self._with_values(run, rows, line, cells, kinds)
        rows.finish()

    def _kinds(self, rows: Rows, own: set[int]) -> _Kinds:
        kinds: _Kinds = {}
        plain: dict[str, int] = {}
        for name, place in rows.columns.items():
            prefix, _, key = name.partition(".")
            if name in self._metrics:
                kinds[place] = ("metrics", name)
            elif name in self._params:
                kinds[place] = ("params", name)
            elif name.startswith(_PREFIXES) and key:
                kinds[place] = (prefix, key)
            elif place not in own and name and name not in _IGNORED:
                plain[name] = place
        return kinds | _guessed(rows, plain)

    def _with_values(
        self, run: ForeignRun, rows: Rows, line: int, cells: list[str], kinds: _Kinds
    ) -> ForeignRun:
        """Return a run with its params, tags and metrics: a point each, at its end."""
        params: dict[str, str] = {}
        tags = dict(run.tags)
        metrics: dict[str, float] = {}
        for place, (kind, key) in kinds.items():
            text = cells[place]
            if kind != "metrics":
                if text:
                    (params if kind == "params" else tags)[key] = text
            elif not is_missing(text):
                number = rows.number(text)
                if number is None:
                    rows.tell(line, f"the metric {key!r} was left out: {text[:80]!r} is no number")
                else:
                    metrics[key] = number
        time = run.start_time if run.end_time is None else run.end_time
        return replace(run, params=params, tags=tags, series=lambda: one_point(metrics, time))


def _csv_files(path: Path) -> Iterator[Path]:
    """Yield the file, or each ``metrics.csv`` in a folder; links to folders are not followed."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        if "metrics.csv" in names:
            yield Path(folder, "metrics.csv")


def _guessed(rows: Rows, plain: dict[str, int]) -> _Kinds:
    """Return what columns are whose names do not say it, as the first row with a value shows."""
    kinds: _Kinds = {}
    for _, cells in Rows(rows.path, []) if plain else ():
        for name, place in plain.items():
            if place not in kinds and not is_missing(cells[place]):
                number = rows.number(cells[place])
                is_metric = number is not None and _FRACTION.search(cells[place])
                kinds[place] = ("metrics" if is_metric else "params", name)
        if len(kinds) == len(plain):
            break
    return kinds


def _by_names(columns: Mapping[str, int]) -> dict[str, int]:
    """Return the places of the columns that say what a run is."""
    lower = {name.lower(): place for name, place in columns.items()}
    found = {}
    for what, names in _OWN.items():
        place = next((lower[name] for name in names if name in lower), None)
        if place is not None:
            found[what] = place
    return found


def _status(text: str) -> RunStatus:
    word = text.strip()
    try:
        return RunStatus(_WORDS.get(word.lower(), word.upper()))
    except ValueError:
        return RunStatus.FINISHED
