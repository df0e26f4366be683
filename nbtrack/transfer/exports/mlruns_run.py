"""One run as files of MLflow's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nbtrack import packing
from nbtrack.artifacts.digest import check_path
from nbtrack.errors import IntegrityError
from nbtrack.store.words import MODEL_STATUSES
from nbtrack.transfer.blobs import read_blob
from nbtrack.transfer.checks import check_id, check_object, check_times, later
from nbtrack.transfer.exports.folder import Folder, file_keys, read_yaml
from nbtrack.transfer.logged import models_of
from nbtrack.transfer.report import MergeReport
from nbtrack.transfer.sqlite import Row, Source
from nbtrack.types import LifecycleStage, RunStatus

_META = "meta.yaml"
_STATUS = {"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5}
_OPEN = (1, 2)
_LOCAL = 4  # the kind of source that MLflow notes of every run
_CONTEXT = "mlflow.data.context"
_PIECE = 2**20


class RunExport:
    """A run on its way into a folder.

    Parameters
    ----------
    source, run
        The database that it is in, and its row there.
    target
        Where it goes.
    report
        What was done is noted there.
    chosen
        Ids of all runs that are exported.
    """

    def __init__(
        self, source: Source, target: Folder, report: MergeReport, run: Row, chosen: Collection[str]
    ) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._run = run
        self._chosen = chosen
        self._id = check_id(run["run_id"])
        self._changed = False

    def write(self, experiment: Path) -> None:
        """Write the run into the folder of its experiment, or bring it up to date there.

        Raises
        ------
        NbtrackError
            It cannot be written whole.
        """
        place = experiment / self._id
        is_new = self._is_free(place, "run_id", self._id)
        models = list(models_of(self._source, self._id))
        base = self._target.new() if is_new else place
        self._put_values(base)
        self._put_datasets(base, experiment)
        self._put_uses(base, models)
        self._put_files(base / "artifacts", self._files("", models))
        for model in models:  # before the run is there, which refers to them
            self._put_model(experiment, model)
        if is_new:
            for name in ("metrics", "params", "tags", "artifacts"):
                (base / name).mkdir(parents=True, exist_ok=True)
            self._target.put_yaml(base / _META, self._meta(experiment.name))
            self._target.move(base, place)
            self._report.added.append(self._id)
            return
        self._end(place)
        if self._changed:
            self._report.updated.append(self._id)
        else:
            self._report.unchanged += 1

    # ------------------------------------------------------------------------- the run itself

    def _meta(self, experiment_id: str) -> dict[str, Any]:
        run = self._run
        LifecycleStage(run["lifecycle_stage"])
        check_times(run["start_time"], run["end_time"], run["deleted_time"])
        return {
            "run_id": self._id,
            "run_name": run["run_name"],
            "experiment_id": experiment_id,
            "user_id": run["user_id"],
            "status": _STATUS[RunStatus(run["status"])],
            "start_time": run["start_time"],
            "end_time": run["end_time"],
            "lifecycle_stage": run["lifecycle_stage"],
            "deleted_time": run["deleted_time"],
            # Of an experiment in the trash, too: there it is when it is restored.
            "artifact_uri": (self._target.root / experiment_id / self._id / "artifacts").as_uri(),
            "source_type": _LOCAL,
            "source_name": "",
            "entry_point_name": "",
            "source_version": "",
            "tags": [],
        }

    def _end(self, place: Path) -> None:
        """Have a run end that had not ended there."""
        there = read_yaml(place / _META) or {}
        ours = self._meta(place.parent.name)
        ends = {name: ours[name] for name in ("status", "end_time")}
        if ends == {name: there.get(name) for name in ends} or ours["status"] in _OPEN:
            return
        if there.get("status") in _OPEN:
            self._target.put_yaml(place / _META, {**there, **ends})
            self._changed = True
        else:
            self._conflict("end")

    def _put_values(self, base: Path) -> None:
        number = (self._run["run_no"],)
        params = self._source.rows("SELECT key, value FROM params WHERE run_no = ?", number)
        self._put_texts(base / "params", dict(map(tuple, params)), "param")
        tags = self._source.rows("SELECT key, value FROM tags WHERE run_no = ?", number)
        texts = {"mlflow.runName": self._run["run_name"], **dict(map(tuple, tags))}
        if self._run["parent_run_id"]:
            texts.setdefault("mlflow.parentRunId", self._run["parent_run_id"])
        self._put_texts(base / "tags", texts, "tag")
        rows = self._source.rows(
            "SELECT key, metric_id FROM metrics WHERE run_no = ? ORDER BY key", number
        )
        metrics = dict(map(tuple, rows))
        datasets = self._datasets_of_points()
        for key in self._keys(metrics, "metric"):
            lines = self._lines(metrics[key], key, datasets)
            self._put_lines(base / "metrics" / key, lines, f"metric {key!r}")

    def _lines(
        self, metric_id: int, key: str, datasets: Mapping[tuple[str, str], str]
    ) -> Iterator[bytes]:
        """Yield the points of a metric, many at a time."""
        for (data,) in self._source.rows(
            "SELECT data FROM metric_chunks WHERE metric_id = ? ORDER BY chunk_id", (metric_id,)
        ):
            lines = (
                _line(time, value, step)
                for step, time, value in zip(*packing.decode(data), strict=True)
            )
            yield "".join(f"{line}{datasets.get((key, line), '')}\n" for line in lines).encode()

    def _datasets_of_points(self) -> dict[tuple[str, str], str]:
        """Return what follows in the lines of points that belong to a dataset and to no model."""
        found, lost = {}, 0
        for key, time, value, step, name, digest in self._source.rows(
            "SELECT key, timestamp, value, step, dataset_name, dataset_digest FROM model_metrics"
            " WHERE run_no = ? AND model_id IS NULL AND dataset_name IS NOT NULL",
            (self._run["run_no"],),
        ):
            # MLflow itself reads the step of such a line as 0: a step is worth more.
            if step == 0 and (ending := _dataset(name, digest)):
                found[key, _line(time, value, step)] = ending
            else:
                lost += 1
        if lost:
            self._tell(f"that {lost} points belong to a dataset")
        return found

    def _put_datasets(self, base: Path, experiment: Path) -> None:
        """Put the datasets that the run saw into the experiment, and their parts into the run."""
        for row in self._source.rows(
            "SELECT name, digest, source_type, source, schema, profile, context, tags"
            " FROM run_inputs JOIN datasets USING (dataset_id) WHERE run_id = ?"
            " ORDER BY dataset_id, context",
            (self._id,),
        ):
            meta = dict(zip(row.keys(), row, strict=True))
            context, tags = meta.pop("context"), json.loads(check_object(meta.pop("tags")))
            check_object(meta["schema"])
            check_object(meta["profile"])
            dataset_id = _md5(meta["name"], meta["digest"])
            place = experiment / "datasets" / dataset_id / _META
            self._put_new(place, meta)
            if read_yaml(place) != meta:
                self._conflict(f"dataset {meta['name']!r}")
            if context:
                tags = {_CONTEXT: context, **tags}
            # MLflow gives a name to the first part of a dataset, and reads more of them.
            folder = base / "inputs" / _md5(dataset_id, self._id)
            values = _edge("DATASET", "RUN", dataset_id, tags)
            if (folder / _META).exists() and read_yaml(folder / _META) != values:
                folder = base / "inputs" / _md5(dataset_id, self._id, context)
            self._put_new(folder / _META, values)

    def _put_uses(self, base: Path, models: list[Row]) -> None:
        """Put the models that the run used or made."""
        uses = {(model["model_id"], "output"): 0 for model in models}
        for model_id, role, step in self._source.rows(
            "SELECT model_id, role, step FROM run_models WHERE run_id = ?", (self._id,)
        ):
            uses[check_id(model_id), role] = step
        for (model_id, role), step in uses.items():
            if role == "input":
                folder = base / "inputs" / _md5(model_id, self._id)
                self._put_new(folder / _META, _edge("MODEL", "RUN", model_id, {}))
            else:
                values = {**_edge("RUN_OUTPUT", "MODEL_OUTPUT", model_id, {}), "step": step}
                self._put_new(base / "outputs" / model_id / _META, values)

    # ------------------------------------------------------------------------- its models

    def _put_model(self, experiment: Path, model: Row) -> None:
        """Put a logged model into the folder of the experiment, with its files."""
        model_id = model["model_id"]
        place = experiment / "models" / model_id
        is_new = self._is_free(place, "model_id", model_id)
        base = self._target.new() if is_new else place
        for table, what in (("params", "param"), ("tags", "tag")):
            rows = self._source.rows(
                f"SELECT key, value FROM logged_model_{table} WHERE model_id = ?", (model_id,)
            )
            self._put_texts(base / table, dict(map(tuple, rows)), f"{what} of a model,")
        points = self._points_of(model_id)
        for key in self._keys(points, "metric"):
            lines = [line.encode() for line in points[key]]
            self._put_lines(base / "metrics" / key, lines, f"metric {key!r} of a model")
        self._put_files(base / "artifacts", self._files(model["artifact_path"], []))
        meta = self._model_meta(experiment.name, model)
        if is_new:
            for name in ("metrics", "params", "artifacts"):
                (base / name).mkdir(parents=True, exist_ok=True)
            self._target.put_yaml(base / _META, meta)
            self._target.move(base, place)
            self._changed = True
            return
        there = read_yaml(place / _META) or {}
        time = there.get("last_updated_timestamp")
        if later(time if isinstance(time, int) else None, meta["last_updated_timestamp"]):
            names = ("name", "model_type", "status", "last_updated_timestamp")
            self._target.put_yaml(place / _META, {**there, **{name: meta[name] for name in names}})
            self._changed = True

    def _model_meta(self, experiment_id: str, model: Row) -> dict[str, Any]:
        model_id, created = model["model_id"], model["created_ms"]
        place = self._target.root / experiment_id / "models" / model_id
        return {
            "model_id": model_id,
            "experiment_id": experiment_id,
            "name": self._name(model),
            "artifact_location": (place / "artifacts").as_uri(),
            "creation_timestamp": created,
            "last_updated_timestamp": model["last_updated_ms"] or created,
            "model_type": model["model_type"] or None,
            "source_run_id": self._id,
            "status": MODEL_STATUSES.index(model["status"]),
            "status_message": None,
            "lifecycle_stage": "active",
        }

    def _name(self, model: Row) -> str:
        """Return a model's name: MLflow has one for it and for its place in the run."""
        name, path = str(model["name"]), str(model["artifact_path"])
        if name and path == f"models/{model['model_id']}":  # its place if the name was taken
            return name
        if name not in ("", path):
            self._tell(f"the name {name!r} of the model {path!r}")
        return path

    def _points_of(self, model_id: str) -> dict[str, list[str]]:
        """Return the lines of a model's metrics by their keys, of all runs that are exported."""
        found: dict[str, list[str]] = {}
        for run_id, key, time, value, step, name, digest in self._source.rows(
            "SELECT run_id, key, timestamp, value, step, dataset_name, dataset_digest"
            " FROM model_metrics JOIN runs USING (run_no) WHERE model_id = ?"
            " ORDER BY run_no, model_metrics.rowid",
            (model_id,),
        ):
            if run_id in self._chosen:
                line = f"{_line(time, value, step)} {run_id}{_dataset(name, digest)}\n"
                found.setdefault(key, []).append(line)
        return found

    # ------------------------------------------------------------------------- files

    def _files(self, folder: str, models: list[Row]) -> Iterator[tuple[str, str, int]]:
        """Yield path, digest and size of the files in a folder, but for those of models."""
        start = f"{folder}/" if folder else ""
        others = tuple(f"{model['artifact_path']}/" for model in models)
        for path, digest, size in self._source.rows(
            "SELECT path, digest, size_bytes FROM artifacts LEFT JOIN blobs USING (digest)"
            " WHERE run_id = ? ORDER BY path",
            (self._id,),
        ):
            if check_path(path).startswith(start) and not path.startswith(others):
                yield path.removeprefix(start), digest, size

    def _put_files(self, folder: Path, files: Iterable[tuple[str, str, int]]) -> None:
        for name, digest, size in files:
            path = folder / name
            if not path.exists():
                self._report.bytes += self._target.put(path, read_blob(self._source, digest))
                self._report.files += 1
                self._changed = True
            elif path.stat().st_size != size or _sha256(path) != digest:
                self._conflict(f"file {name!r}")

    def _put_texts(self, folder: Path, values: Mapping[str, str], what: str) -> None:
        for key in self._keys(values, what):
            path, data = folder / key, values[key].encode()
            if not path.exists():
                self._target.put(path, data)
                self._changed = True
            elif path.read_bytes() != data:
                self._conflict(f"{what} {key!r}")

    def _put_new(self, path: Path, values: Mapping[str, Any]) -> None:
        if not path.exists():
            self._target.put_yaml(path, values)
            self._changed = True

    def _put_lines(self, path: Path, lines: Iterable[bytes], what: str) -> None:
        """Write lines, if those that are there are the first of them."""
        waiting = self._target.new()
        with waiting.open("xb") as file:
            for part in lines:
                file.write(part)
        there = path.stat().st_size if path.exists() else 0
        here = waiting.stat().st_size
        if there and not _same_beginning(waiting, path, min(there, here)):
            self._conflict(what)
        elif here > there:
            self._target.move(waiting, path)
            self._changed = True
        waiting.unlink(missing_ok=True)

    def _is_free(self, place: Path, key: str, value: str) -> bool:
        """Return whether nothing is at a place yet; refuse to extend what is something else."""
        if not place.exists():
            return True
        if (read_yaml(place / _META) or {}).get(key) != value:
            raise IntegrityError(f"In the folder, {place} is something else.")
        return False

    # ------------------------------------------------------------------------- what is told

    def _keys(self, keys: Iterable[str], what: str) -> list[str]:
        kept, refused = file_keys(keys)
        for key in refused:
            self._tell(f"the {what} {key[:80]!r}")
        return kept

    def _tell(self, what: str) -> None:
        self._report.problems.append(
            f"Of the run {self._run['run_name']} ({self._id[:8]}) {what} was left out: MLflow's "
            "files have no place for it."
        )

    def _conflict(self, what: str) -> None:
        self._report.conflicts.append(
            f"The {what} of the run {self._run['run_name']} ({self._id[:8]}) differs in the folder:"
            " what is there is kept."
        )


def _line(time: int, value: float | None, step: int) -> str:
    return f"{time} {'nan' if value is None else value!r} {step}"


def _dataset(name: str | None, digest: str | None) -> str:
    """Return what follows in a line for a dataset; nothing if that cannot be told from blanks."""
    if name and digest and len(f"{name} {digest}".split()) == len((name, digest)):
        return f" {name} {digest}"
    return ""


def _edge(source: str, destination: str, item: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return what MLflow notes of a run's part in something: the same id twice."""
    return {
        "source_type": source,
        "source_id": item,
        "destination_type": destination,
        "destination_id": item,
        "tags": dict(tags),
    }


def _md5(*texts: str) -> str:
    return hashlib.md5("".join(texts).encode(), usedforsecurity=False).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _same_beginning(one: Path, other: Path, size: int) -> bool:
    with one.open("rb") as here, other.open("rb") as there:
        while size > 0:
            if here.read(min(size, _PIECE)) != there.read(min(size, _PIECE)):
                return False
            size -= _PIECE
    return True
