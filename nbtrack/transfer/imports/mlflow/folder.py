"""MLflow's store of files: a folder ``mlruns``.

Each experiment is a folder, named by its id, with one for each run; one that was deleted is below
``.trash``. Each param and tag is a file, each metric a file with a line for each point.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbtrack.errors import IntegrityError, InvalidParameterError
from nbtrack.transfer.imports.base import (
    ForeignExperiment,
    ForeignModel,
    ForeignRun,
    ForeignSeries,
    ModelUse,
    Options,
)
from nbtrack.transfer.imports.mlflow.files import folders, read_values, read_yaml, walk
from nbtrack.transfer.imports.mlflow.models import Logged, Models, run_of_model, with_message
from nbtrack.transfer.imports.mlflow.places import Places
from nbtrack.transfer.imports.mlflow.points import PARTS, Lines
from nbtrack.transfer.imports.mlflow.registry import BROKEN, IS_PROMPT, REMOVED, foreign_version
from nbtrack.transfer.imports.mlflow.words import (
    LOCATION_TAG,
    dataset_input,
    legacy_tags,
    model_status,
    parent_of,
    run_status,
    stage,
    text,
    whole,
)
from nbtrack.types import DatasetInput, LifecycleStage, Metric

META = "meta.yaml"
TRASH = ".trash"
MODELS = "models"
_NO_RUNS = {"tags", "datasets", "traces", MODELS}
_BROKEN = (*BROKEN, OSError, KeyError, AttributeError)


class MlflowFolder:
    """An `nbtrack.transfer.imports.base.Archive`: a folder ``mlruns``.

    Parameters
    ----------
    path
        The folder.
    options
        Where served files are; the only experiment that is wanted.

    Raises
    ------
    NbtrackError
        The folder has no such experiment.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self.label = f"the MLflow folder {path}"
        self.problems: list[str] = []
        self._path = path.resolve()
        self._tell = self.problems.append
        self._places = Places(self._path.parent, options.artifacts_destination, self._tell)
        self._models = Models(self._tell)
        self._metas = dict(self._experiment_metas())
        names = [text(meta.get("name")) for meta in self._metas.values()]
        if (only := options.experiment_name) is not None:
            if only not in names:
                raise InvalidParameterError(
                    f"There is no experiment {only!r} in {path}.",
                    hint=f"It has: {', '.join(map(repr, names[:10]))}.",
                )
            self._metas = {
                folder: meta for folder, meta in self._metas.items() if meta.get("name") == only
            }
        self._logged: defaultdict[str | None, list[tuple[Logged, Path]]] = defaultdict(list)
        self._linked: defaultdict[str, list[Metric]] = defaultdict(list)

    def close(self) -> None:
        """Nothing is open."""

    def _experiment_metas(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for folder in [*folders(self._path), *folders(self._path / TRASH)]:
            if folder.name in {TRASH, MODELS}:
                continue
            try:
                meta = read_yaml(folder / META)
                if text(meta.get("experiment_id")) != folder.name or not meta.get("name"):
                    raise IntegrityError(f"{folder / META} is of another experiment.")
                yield folder, meta
            except _BROKEN as error:
                self._tell(f"The experiment in {folder} was left out: {error}")

    # ------------------------------------------------------------------ experiments and runs

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments."""
        for folder, meta in self._metas.items():
            location = text(meta.get("artifact_location"))
            in_trash = folder.parent.name == TRASH
            created = whole(meta.get("creation_time")) or 0
            yield ForeignExperiment(
                text(meta["name"]),
                folder.name,
                LifecycleStage.DELETED if in_trash else stage(meta.get("lifecycle_stage")),
                created,
                whole(meta.get("last_update_time")) or created,
                tags={
                    **({LOCATION_TAG: location} if location else {}),
                    **read_values(folder / "tags", self._tell),
                },
            )

    def _run_folders(self, experiment: Path) -> list[Path]:
        return [
            folder
            for folder in folders(experiment)
            if folder.name not in _NO_RUNS and (folder / META).exists()
        ]

    def run_count(self) -> int:
        """Return how many runs there are."""
        return sum(len(self._run_folders(folder)) for folder in self._metas)

    def runs(self) -> Iterator[ForeignRun]:
        """Yield the runs, and one for each logged model that has none."""
        for folder, meta in self._metas.items():
            self._read_models(folder, text(meta["name"]))
        for experiment, meta in self._metas.items():
            for folder in self._run_folders(experiment):
                try:
                    run = self._run(folder, text(meta["name"]))
                except _BROKEN as error:
                    self._tell(f"The run in {folder} was left out: {error}")
                else:
                    yield run
        yield from self._made_runs()
        self._places.tell_absent()
        traces = sum(len(folders(folder / "traces")) for folder in self._metas)
        if traces:
            self._tell(f"{traces} traces were left out: nbtrack has no place for them.")

    def _made_runs(self) -> Iterator[ForeignRun]:
        for logged in self._logged.values():  # what is left is of no run
            for model, folder in logged:
                try:
                    root = self._places.root(
                        model.artifact_location, model.model_id, folder / "artifacts"
                    )
                    run = run_of_model(model, self._models, root)
                except _BROKEN as error:
                    self._tell(f"The model {model.model_id} was left out: {error}")
                else:
                    yield run

    def _run(self, folder: Path, experiment: str) -> ForeignRun:
        meta = read_yaml(folder / META)
        run_id = text(meta.get("run_id") or meta.get("run_uuid"))
        if run_id != folder.name:
            raise IntegrityError(f"Its {META} says that it is {run_id!r}.")
        tags = legacy_tags(meta, read_values(folder / "tags", self._tell))
        root = self._places.root(text(meta.get("artifact_uri")), run_id, folder / "artifacts")
        logged = self._logged.pop(run_id, [])
        linked = self._linked.pop(run_id, [])
        placed = self._models.place(
            run_id,
            root,
            tags,
            [
                (m, self._places.root(m.artifact_location, m.model_id, place / "artifacts"))
                for m, place in logged
            ],
        )
        return ForeignRun(
            run_id=run_id,
            run_name=text(meta.get("run_name")) or tags.get("mlflow.runName", ""),
            experiment=experiment,
            status=run_status(meta.get("status")),
            start_time=whole(meta.get("start_time")) or 0,
            end_time=whole(meta.get("end_time")),
            user_id=text(meta.get("user_id")),
            lifecycle_stage=stage(meta.get("lifecycle_stage")),
            deleted_time=whole(meta.get("deleted_time")),
            parent_run_id=parent_of(tags),
            params=read_values(folder / "params", self._tell),
            tags=tags,
            inputs=list(self._inputs(folder)),
            models=placed.models,
            model_times={m.model_id: m.updated_ms for m, _ in logged if m.updated_ms is not None},
            model_uses=list(self._uses(folder)),
            linked=linked,
            series=lambda: self._series(folder, linked),
            files=placed.files,
        )

    def _series(self, folder: Path, linked: list[Metric]) -> Iterator[ForeignSeries]:
        """Yield the points; those that belong to a dataset are added to `linked`, too."""
        import numpy as np

        known = {(m.key, m.timestamp, m.step, m.dataset_name, m.dataset_digest) for m in linked}
        for key, path in walk(folder / "metrics", self._tell):
            steps, times, values = array("q"), array("q"), array("d")
            for time, value, step, (name, digest) in Lines(path, self._tell):
                steps.append(step)
                times.append(time)
                values.append(value)
                if name and (key, time, step, name, digest) not in known:
                    linked.append(Metric(key, value, time, step, None, name, digest))
                if len(values) >= PARTS:
                    yield ForeignSeries(key, np.array(steps), np.array(times), np.array(values))
                    steps, times, values = array("q"), array("q"), array("d")
            if values:
                yield ForeignSeries(key, np.array(steps), np.array(times), np.array(values))

    def _inputs(self, folder: Path) -> Iterator[DatasetInput]:
        for meta in self._metas_below(folder / "inputs"):
            if text(meta.get("source_type")) == "DATASET":
                place = folder.parent / "datasets" / _name(meta.get("source_id"))
                yield dataset_input(read_yaml(place / META), _texts(meta.get("tags")))

    def _uses(self, folder: Path) -> Iterator[ModelUse]:
        for meta in self._metas_below(folder / "inputs"):
            if text(meta.get("source_type")) == "MODEL":
                yield ModelUse(text(meta.get("source_id")), "input")
        for meta in self._metas_below(folder / "outputs"):
            yield ModelUse(text(meta.get("destination_id")), "output", int(meta.get("step") or 0))

    def _metas_below(self, folder: Path) -> Iterator[dict[str, Any]]:
        for below in folders(folder):
            yield read_yaml(below / META)

    # ------------------------------------------------------------------ logged models

    def _read_models(self, experiment: Path, name: str) -> None:
        """Remember the logged models of an experiment by their run, and the points of them."""
        found: list[tuple[Logged, Path]] = []
        deleted = 0
        for folder in folders(experiment / MODELS):
            try:
                meta = read_yaml(folder / META)
                if text(meta.get("model_id")) != folder.name:
                    raise IntegrityError(f"Its {META} is of another one.")
                if stage(meta.get("lifecycle_stage")) == LifecycleStage.DELETED:
                    deleted += 1
                    continue
                found.append((self._as_logged(folder, meta, name), folder))
            except _BROKEN as error:
                self._tell(f"The model in {folder} was left out: {error}")
        if deleted:
            self._tell(f"{deleted} logged models were left out: they are in MLflow's trash.")
        for model, folder in sorted(found, key=lambda pair: (pair[0].created_ms, pair[0].model_id)):
            self._logged[model.source_run_id].append((model, folder))
            for key, path in walk(folder / "metrics", self._tell):
                for time, value, step, (run_id, data, digest) in Lines(
                    path, self._tell, has_run=True
                ):
                    self._linked[run_id].append(
                        Metric(key, value, time, step, model.model_id, data or None, digest or None)
                    )

    def _as_logged(self, folder: Path, meta: Mapping[str, Any], experiment: str) -> Logged:
        return Logged(
            model_id=folder.name,
            name=text(meta.get("name")),
            artifact_location=text(meta.get("artifact_location")),
            created_ms=whole(meta.get("creation_timestamp")) or 0,
            updated_ms=whole(meta.get("last_updated_timestamp")),
            model_type=text(meta.get("model_type")),
            status=model_status(meta.get("status")),
            source_run_id=text(meta.get("source_run_id")) or None,
            experiment=experiment,
            params=read_values(folder / "params", self._tell),
            tags=with_message(read_values(folder / "tags", self._tell), meta.get("status_message")),
        )

    # ------------------------------------------------------------------ registered models

    def registered_models(self) -> Iterator[ForeignModel]:
        """Yield the registered models."""
        found, prompts = [], 0
        sources: dict[tuple[str, str], str] = {}
        for folder in folders(self._path / MODELS):
            try:
                meta = read_yaml(folder / META)
                tags = read_values(folder / "tags", self._tell)
                if IS_PROMPT in tags:
                    prompts += 1
                    continue
                versions = [
                    (below, read_yaml(below / META))
                    for below in folders(folder)
                    if below.name.startswith("version-")
                ]
                for _, version in versions:
                    key = text(meta["name"]), text(version.get("version"))
                    sources[key] = text(version.get("source"))
                found.append((folder, meta, tags, versions))
            except _BROKEN as error:
                self._tell(f"The registered model in {folder} was left out: {error}")
        for folder, meta, tags, versions in found:
            try:
                model = self._registered(folder, meta, tags, versions, sources)
            except _BROKEN as error:
                self._tell(f"The registered model in {folder} was left out: {error}")
            else:
                yield model
        if prompts:
            self._tell(f"{prompts} prompts were left out: nbtrack has no place for them.")

    def _registered(
        self,
        folder: Path,
        meta: Mapping[str, Any],
        tags: Mapping[str, str],
        versions: Sequence[tuple[Path, Mapping[str, Any]]],
        sources: Mapping[tuple[str, str], str],
    ) -> ForeignModel:
        name = text(meta["name"])
        found = [
            self._models.version(
                foreign_version(version, read_values(below / "tags", self._tell)),
                sources,
                f"version {version['version']} of the model {name!r}",
            )
            for below, version in versions
            if version.get("current_stage") != REMOVED
        ]
        created = whole(meta.get("creation_timestamp")) or 0
        aliases = read_values(folder / "aliases", self._tell)
        return ForeignModel(
            name=name,
            creation_timestamp=created,
            last_updated_timestamp=whole(meta.get("last_updated_timestamp")) or created,
            description=text(meta.get("description")),
            tags=tags,
            aliases={alias: int(version) for alias, version in aliases.items()},
            versions=sorted(found, key=lambda version: version.version),
        )


def _texts(pairs: Any) -> dict[str, str]:
    return {text(key): text(value) for key, value in dict(pairs or {}).items()}


def _name(value: Any) -> str:
    """Return a name that stays in the folder where it is looked up."""
    name = text(value)
    if name in {"", ".", ".."} or Path(name).name != name:
        raise IntegrityError(f"{name!r} is no name of a folder.")
    return name


def is_folder(path: Path) -> bool:
    """Return whether a folder is one of MLflow's: an experiment or a registered model is in it."""
    if not path.is_dir():
        return False
    places = [*folders(path), *folders(path / TRASH), *folders(path / MODELS)]
    return any(
        (place / META).is_file()
        for place in places
        if place.name.isdigit() or place.parent.name == MODELS
    )
