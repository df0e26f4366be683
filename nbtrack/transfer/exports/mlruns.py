"""Runs as a folder ``mlruns``: what MLflow's file store reads, with the same ids.

A run that is not in the folder is written beside it and then moved there, whole. One that is there
gets what it lacks: further points, params, tags, files, and its end. What is there stays as it is;
where it differs, that is told. What MLflow's files have no place for stays behind: cells,
environments, tracebacks, the values that a param had before, and where artifacts were kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbtrack.db import Loggable
from nbtrack.errors import InvalidParameterError, NbtrackError
from nbtrack.store.sessions import IsAlive
from nbtrack.transfer.checks import check_id, check_times
from nbtrack.transfer.exports.folder import Folder, file_keys, opened, read_yaml
from nbtrack.transfer.exports.mlruns_models import export_model
from nbtrack.transfer.exports.mlruns_run import RunExport
from nbtrack.transfer.merge import UNFIT
from nbtrack.transfer.report import MergeReport
from nbtrack.transfer.sqlite import Row, Source
from nbtrack.transfer.sqlite import opened as source_opened
from nbtrack.types import LifecycleStage

META = "meta.yaml"
TRASH = ".trash"
_RESERVED = {TRASH, "models"}

Progress = Callable[[int, int], None]
"""Told how many runs are done, and of how many."""


def export_mlruns(
    path: Path,
    runs: Sequence[str],
    folder: Path,
    *,
    is_alive: IsAlive,
    kinds: Mapping[str, type[Loggable]],
    progress: Progress | None = None,
) -> MergeReport:
    """Write some runs, their children, and what is registered of them, as a folder of MLflow's.

    Parameters
    ----------
    path
        The database that is read.
    runs
        Ids of the runs.
    folder
        The folder: it is made, or is one of MLflow's, which is extended.
    is_alive, kinds
        As in `nbtrack.transfer.merge`.
    progress
        Told how far it is.

    Returns
    -------
    MergeReport
        What was written, what differs there, and what MLflow's files cannot hold.

    Raises
    ------
    InvalidParameterError
        There is something else at the folder's place.
    NbtrackError
        The database cannot be read, or the folder cannot be written.
    """
    _check_folder(folder)
    report = MergeReport()
    with (
        source_opened(path, is_alive=is_alive, kinds=kinds, on_trouble=report.problems.append) as (
            source
        ),
        source.using,
        opened(folder) as target,
    ):
        chosen = _with_children(source, runs)
        places = _Places(source, target, report)
        for done, (run_id, run) in enumerate(chosen.items()):
            if progress is not None:
                progress(done, len(chosen))
            try:
                exporting = RunExport(source, target, report, run, chosen)
                exporting.write(places.of(run["experiment_id"], run_id))
            except (NbtrackError, *UNFIT) as error:
                report.problems.append(f"The run {run_id} was left out: {_why(error)}")
        if progress is not None:
            progress(len(chosen), len(chosen))
        for (name,) in list(source.rows("SELECT name FROM registered_models ORDER BY name")):
            try:
                export_model(source, target, report, name, chosen)
            except (NbtrackError, *UNFIT) as error:
                report.problems.append(f"The model {name!r} was left out: {_why(error)}")
    return report


def _why(error: Exception) -> str:
    return error.message if isinstance(error, NbtrackError) else f"{error}."


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InvalidParameterError(
            f"{folder} is no folder that runs could be exported to.", hint="Name another place."
        )
    names = [entry.name for entry in folder.iterdir()]
    metas = (f"*/{META}", f"models/*/{META}")
    if names and TRASH not in names and not any(any(folder.glob(meta)) for meta in metas):
        raise InvalidParameterError(
            f"The folder {folder} has something else in it, and nothing of MLflow's.",
            hint="Name a folder that is new, empty, or one of MLflow's: mlruns.",
        )


def _with_children(source: Source, runs: Sequence[str]) -> dict[str, Row]:
    """Return runs and those below them that are not in the trash, in the order of their coming."""
    wanted, waiting = set[str](), list(runs)
    while waiting:
        run_id = waiting.pop()
        if run_id not in wanted:
            wanted.add(run_id)
            waiting += (
                child
                for (child,) in source.rows(
                    "SELECT run_id FROM runs WHERE parent_run_id = ?"
                    " AND lifecycle_stage = 'active'",
                    (run_id,),
                )
            )
    rows = source.rows("SELECT * FROM runs ORDER BY run_no")
    return {row["run_id"]: row for row in rows if row["run_id"] in wanted}


class _Places:
    """The folders of experiments: found by their names, else made."""

    def __init__(self, source: Source, target: Folder, report: MergeReport) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._known: dict[int, Path] = {}
        self._by_name = dict(_experiments_in(target.root))
        (target.root / TRASH).mkdir(exist_ok=True)
        if not self._by_name:  # MLflow expects one of the number 0
            try:
                self.of(0)
            except (NbtrackError, *UNFIT) as error:
                report.problems.append(f"The experiment 0 was left out: {_why(error)}")

    def of(self, number: int, run_id: str | None = None) -> Path:
        """Return the folder of an experiment; or that in which a run is already.

        Raises
        ------
        NbtrackError
            It cannot be exported.
        """
        for place in self._by_name.values() if run_id is not None else ():
            if (place / check_id(run_id)).exists():
                return place
        if number not in self._known:
            self._known[number] = self._place(number)
        return self._known[number]

    def _place(self, number: int) -> Path:
        row = self._source.row("SELECT * FROM experiments WHERE experiment_id = ?", (number,))
        if row is None:
            raise InvalidParameterError(f"The experiment {number} is not in the database.")
        is_deleted = LifecycleStage(row["lifecycle_stage"]) is LifecycleStage.DELETED
        check_times(row["creation_time"], row["last_update_time"])
        place = self._by_name.get(row["name"])
        if place is None:
            place = self._make(row, is_deleted)
        elif is_deleted != (place.parent.name == TRASH):
            self._report.conflicts.append(
                f"The experiment {row['name']!r} is in the trash on one side, and not on the other:"
                " what is in the folder is kept."
            )
        tags = self._source.rows(
            "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (number,)
        )
        self._put_tags(place / "tags", row["name"], dict(map(tuple, tags)))
        return place

    def _make(self, row: Row, is_deleted: bool) -> Path:
        taken = {place.name for place in self._by_name.values()}
        taken |= {entry.name for entry in self._target.root.iterdir()}
        number = row["experiment_id"]
        while number < 0 or str(number) in taken:
            number = max((int(name) for name in taken if name.isdecimal()), default=0) + 1
        place = self._target.root / str(number)
        # Not where it is now, but where MLflow looks for its artifacts.
        location = place.as_uri()
        if is_deleted:
            place = self._target.root / TRASH / str(number)
        self._target.put_yaml(
            place / META,
            {
                "experiment_id": str(number),
                "name": row["name"],
                "artifact_location": location,
                "lifecycle_stage": row["lifecycle_stage"],
                "creation_time": row["creation_time"],
                "last_update_time": row["last_update_time"],
            },
        )
        self._by_name[row["name"]] = place
        self._report.experiments.append(row["name"])
        return place

    def _put_tags(self, folder: Path, name: str, tags: Mapping[str, Any]) -> None:
        kept, refused = file_keys(tags)
        for key in kept:
            if not (folder / key).exists():
                self._target.put(folder / key, tags[key].encode())
        for key in refused:
            self._report.problems.append(
                f"The tag {key!r} of the experiment {name!r} was left out: MLflow's files cannot "
                "have it as a name."
            )


def _experiments_in(root: Path) -> Iterator[tuple[str, Path]]:
    for parent in (root / TRASH, root):
        for place in sorted(parent.iterdir()) if parent.is_dir() else ():
            if place.name not in _RESERVED and not place.is_symlink():
                meta = read_yaml(place / META) or {}
                if meta.get("name") and str(meta.get("experiment_id")) == place.name:
                    yield str(meta["name"]), place
