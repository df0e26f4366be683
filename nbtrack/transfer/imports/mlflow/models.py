"""Logged models among the files of their runs, and what registered versions point to.

MLflow keeps the files of a logged model apart from those of its run. Here they are the run's: at
the model's name if nothing else is there, and else at ``models/<model id>``.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from nbtrack.artifacts.digest import check_path
from nbtrack.errors import IntegrityError, InvalidParameterError, NbtrackError
from nbtrack.transfer.imports.base import ForeignFile, ForeignRun, ForeignVersion
from nbtrack.transfer.imports.mlflow.files import Tell, parse_yaml
from nbtrack.transfer.imports.mlflow.places import Root
from nbtrack.transfer.imports.mlflow.words import MESSAGE_TAG, SOURCE_TAG, hex_id, text
from nbtrack.types import ModelInfo, RunStatus

HISTORY = "mlflow.log-model.history"
_MAX_MLMODEL = 10 * 2**20
_HOPS = 10  # from version to version


@dataclass(frozen=True, slots=True)
class Logged:
    """A logged model, as MLflow has it since 3.0."""

    model_id: str
    name: str
    artifact_location: str
    created_ms: int
    updated_ms: int | None
    model_type: str = ""
    status: str = "LOGGED_MODEL_READY"
    source_run_id: str | None = None
    experiment: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """The models of a run, and all its files: with those of its models."""

    models: Sequence[ModelInfo]
    folders: Sequence[tuple[str, Root]]

    def files(self) -> Iterator[ForeignFile]:
        """Yield the files."""
        for prefix, root in self.folders:
            for file in root.files():
                yield replace(file, path=f"{prefix}{file.path}")


@dataclass(frozen=True, slots=True)
class Models:
    """Finds places for models, and remembers them for the versions that point there.

    Parameters
    ----------
    tell
        Told what cannot be read.
    """

    tell: Tell
    places: dict[str, tuple[str, str]] = field(default_factory=dict)  # run and path, by model id
    moved: dict[tuple[str, str], str] = field(default_factory=dict)  # path, by run and name
    runs: set[str] = field(default_factory=set)

    def place(
        self,
        run_id: str,
        root: Root | None,
        tags: Mapping[str, str],
        logged: Sequence[tuple[Logged, Root | None]],
    ) -> Placed:
        """Return the models of a run, and where their files go.

        Parameters
        ----------
        root
            The run's own files.
        tags
            The run's tags: they name the models of MLflow before 3.0.
        logged
            Its logged models, each with its files; in the order in which they were made.
        """
        self.runs.add(run_id)
        taken = set() if root is None else root.names()
        models: list[ModelInfo] = []
        folders = [] if root is None else [("", root)]
        for model, files in logged:
            path = model.name
            if path in taken or not _is_path(path) or "/" in path:
                path = f"models/{model.model_id}"
                self.moved.setdefault((run_id, model.name), path)
            taken.add(path)
            self.places[model.model_id] = (run_id, path)
            models.append(self._described(model, run_id, path, files))
            if files is not None:
                folders.append((f"{path}/", files))
        if root is not None:
            ids = {model.model_id for model in models} | {model.name for model in models}
            models += self._of_history(run_id, root, tags.get(HISTORY, ""), ids)
        return Placed(models, folders)

    def _described(self, model: Logged, run_id: str, path: str, files: Root | None) -> ModelInfo:
        flavor, model_class, size = self._mlmodel(files, "", model.model_id)
        return ModelInfo(
            model_id=model.model_id,
            run_id=run_id,
            artifact_path=path,
            flavor=flavor,
            model_class=model_class,
            size_bytes=size,
            created_ms=model.created_ms,
            name=model.name,
            model_type=model.model_type,
            status=model.status,
            params=model.params,
            tags=model.tags,
        )

    def _of_history(
        self, run_id: str, root: Root, history: str, known: set[str]
    ) -> Iterator[ModelInfo]:
        """Yield the models that a run logged with an MLflow before 3.0."""
        seen = set(known)
        for entry in _entries(history):
            path, model_id = text(entry.get("artifact_path")), text(entry.get("model_id"))
            if path in seen or model_id in seen or not _is_path(path):
                continue
            seen.add(path)
            flavor, model_class, size = self._mlmodel(root, f"{path}/", f"{run_id}/{path}")
            if flavor:
                yield ModelInfo(
                    # Copies of a run have the ids of its models, too: here each needs its own.
                    model_id=hashlib.sha256(f"{run_id}/{path}".encode()).hexdigest()[:32],
                    run_id=run_id,
                    artifact_path=path,
                    flavor=flavor,
                    model_class=model_class,
                    size_bytes=size,
                    created_ms=_time_ms(entry.get("utc_time_created")),
                    name=path,
                )

    def _mlmodel(self, root: Root | None, prefix: str, called: str) -> tuple[str, str, int]:
        """Return flavor, class and size of a model as its MLmodel file says, if there is one."""
        try:
            data = root and root.read(f"{prefix}MLmodel", _MAX_MLMODEL)
            if not data:
                return "", "", 0
            facts = parse_yaml(data, "MLmodel")
            flavors = facts.get("flavors")
            if not isinstance(flavors, dict) or not flavors:
                raise IntegrityError("MLmodel names no flavors.")
            names = [name for name in flavors if name != "python_function"] or list(flavors)
            native = flavors[names[0]]
            model_class = native.get("model_class") if isinstance(native, dict) else None
            size = facts.get("model_size_bytes")
            return str(names[0]), text(model_class), size if isinstance(size, int) else 0
        except (NbtrackError, OSError) as error:
            self.tell(f"What the model {called} is could not be read: {error}")
            return "", "", 0

    # ------------------------------------------------------------------ registered versions

    def version(
        self, version: ForeignVersion, versions: Mapping[tuple[str, str], str], called: str
    ) -> ForeignVersion:
        """Return a version that points to files of a run, if it is known which.

        Parameters
        ----------
        version
            As MLflow has it.
        versions
            Sources of all versions, by name and number: some are copies of others.
        called
            The version, for what is told.
        """
        source = version.source
        for _ in range(_HOPS):
            name, slash, number = source.removeprefix("models:/").partition("/")
            if not (source.startswith("models:/") and slash and (name, number) in versions):
                break
            source = versions[name, number]
        model_id = version.model_id
        if model_id is None and source.startswith("models:/m-"):
            model_id = source.removeprefix("models:/").split("/")[0]
        tags = dict(version.tags)
        found = self._found(source)
        if found is None:
            self.tell(
                f"The files of {called}, {version.source!r}, were left out: no run that was "
                "imported has them."
            )
            found = version.source
        if found != version.source:
            tags.setdefault(SOURCE_TAG, version.source)
        return replace(version, source=found, model_id=model_id, tags=tags)

    def _found(self, source: str) -> str | None:
        """Return ``runs:/<run>/<path>`` for what a source means; None if that is not known."""
        if source.startswith("models:/"):
            place = self.places.get(source.removeprefix("models:/"))
            return None if place is None else f"runs:/{place[0]}/{place[1]}"
        parts = PurePosixPath(unquote(urlsplit(source).path)).parts
        parts = tuple(part for part in parts if part != "/")
        if source.startswith("runs:/"):
            if len(parts) < 2 or parts[0] not in self.runs:  # noqa: PLR2004 - run and path
                return None
            path = self.moved.get((parts[0], "/".join(parts[1:])), "/".join(parts[1:]))
            return source if path == "/".join(parts[1:]) else f"runs:/{parts[0]}/{path}"
        for number, part in enumerate(parts[:-1]):
            if parts[number + 1] != "artifacts":
                continue
            rest = parts[number + 2 :]
            if part in self.places:
                return f"runs:/{'/'.join((*self.places[part], *rest))}"
            if part in self.runs and rest:
                return f"runs:/{'/'.join((part, *rest))}"
        return None


def run_of_model(model: Logged, models: Models, root: Root | None) -> ForeignRun:
    """Return the run that is made for a logged model that has none: its id is the model's."""
    run_id = hex_id(model.model_id)
    placed = models.place(run_id, None, {}, [(model, root)])
    return ForeignRun(
        run_id=run_id,
        run_name=model.name,
        experiment=model.experiment,
        status=RunStatus.FINISHED,
        start_time=model.created_ms,
        end_time=model.updated_ms or model.created_ms,
        tags={SOURCE_TAG: f"models:/{model.model_id}"},
        models=placed.models,
        model_times={} if model.updated_ms is None else {model.model_id: model.updated_ms},
        files=placed.files,
    )


def with_message(tags: Mapping[str, str], message: Any) -> dict[str, str]:
    """Return tags, with the message that MLflow keeps beside a state, if there is one.

    Examples
    --------
    >>> with_message({}, "no room"), with_message({}, None)
    ({'nbtrack.import.status_message': 'no room'}, {})
    """
    return {**tags, **({MESSAGE_TAG: text(message)} if message else {})}


def _is_path(path: str) -> bool:
    try:
        return bool(check_path(path))
    except InvalidParameterError:
        return False


def _entries(history: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(history or "[]")
    except (ValueError, RecursionError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _time_ms(value: Any) -> int:
    """Return a time as MLmodel files have it in ms; 0 if it is none.

    Examples
    --------
    >>> _time_ms("2024-05-01 12:00:00.250000")
    1714564800250
    """
    try:
        found = datetime.datetime.fromisoformat(text(value)).replace(tzinfo=datetime.UTC)
    except ValueError:
        return 0
    return int(found.timestamp() * 1000)
