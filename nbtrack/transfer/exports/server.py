"""Runs for an MLflow server: asked by its protocol, as if they were logged there.

A server gives ids of its own. The tag ``nbtrack.run_id`` of an exported run says which one it was;
``nbtrack.exported`` how it was then: what has not changed since is not sent again. All that is sent
may be sent twice: a server drops exact copies of points, and takes params again as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbtrack.artifacts import ArtifactStore
from nbtrack.artifacts.rest import RestArtifacts
from nbtrack.db import Loggable
from nbtrack.errors import AlreadyExistsError, InvalidParameterError, NbtrackError, StoreError
from nbtrack.registry import Registry
from nbtrack.settings import settings
from nbtrack.store import NewRun, Store, outbox, records
from nbtrack.store.journal_file import Frame
from nbtrack.store.points import AddPoints
from nbtrack.store.rest import CELL, ENVIRONMENT, RestStore
from nbtrack.store.rest_models import LoggedModels
from nbtrack.transfer.report import MergedVersion, MergeReport
from nbtrack.types import (
    LifecycleStage,
    MetricSeries,
    ModelVersion,
    RegisteredModel,
    Run,
    RunDetail,
    RunQuery,
    RunStatus,
    ViewType,
)
from nbtrack.wire import Http
from nbtrack.wire.messages import ERROR_TAG, PARENT_TAG

RUN_TAG = "nbtrack.run_id"
VERSION_TAG = "nbtrack.version"
_EXPORTED_TAG = "nbtrack.exported"
_POINTS = 20_000  # of a metric, that are handed over at once
_NO_STAGE = "None"

Progress = Callable[[int, int], None]
"""Called with how many runs are done, and of how many."""


class _Direct:
    """Takes records as a sender does, and delivers each at once.

    Parameters
    ----------
    http
        The server.
    problems
        Gets a sentence for each record that the server does not take.
    """

    def __init__(self, http: Http, problems: list[str]) -> None:
        self._problems = problems
        self._told: set[str] = set()
        self._number = 0
        self._names = {kind: name for name, kind in outbox.KINDS.items()}
        self.handlers: dict[type[Loggable], outbox.Handler] = {}
        self._box = outbox.Outbox(http, self.handlers, outbox.KINDS, self._tell)

    def submit(self, record: Loggable) -> None:
        """Deliver a record; tried again as often as any question to a server."""
        self._number += 1
        fields = json.loads(json.dumps(record.pack()))
        frame = Frame(self._number, self._names[type(record)], fields, record.blobs)
        for left in range(settings.server_retries, -1, -1):
            try:
                self._box.deliver([frame])
            except StoreError:
                if not left:
                    raise
            else:
                return

    def add_point(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> None:
        """Deliver a point."""
        self.submit(AddPoints(run_id, [(key, value, timestamp, step)]))

    def expect(self, run_id: str, keys: Iterable[str]) -> None:
        """Do nothing: a point has its name with it."""

    def flush(self, timeout: float = 10.0) -> None:
        """Do nothing: nothing waits."""

    def _tell(self, cause: str, message: str) -> None:
        if cause not in self._told:
            self._told.add(cause)
            self._problems.append(message)


def export_server(
    store: Store,
    artifacts: ArtifactStore,
    registry: Registry,
    runs: Sequence[str],
    http: Http,
    *,
    progress: Progress | None = None,
) -> MergeReport:
    """Bring some runs, their children, and what is registered of them, to an MLflow server.

    Parameters
    ----------
    store, artifacts, registry
        Where the runs are.
    runs
        Ids of the runs.
    http
        The server.
    progress
        Called again and again with how many runs are done, and of how many.

    Returns
    -------
    MergeReport
        Ids of the runs, as they are here.

    Raises
    ------
    NotFoundError
        There is no such run.
    StoreError
        The server cannot be asked. What has arrived stays; again goes on with the rest.
    """
    return _Export(store, artifacts, registry, http).bring(runs, progress or (lambda *_: None))


class _Export:
    def __init__(
        self, store: Store, artifacts: ArtifactStore, registry: Registry, http: Http
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._registry = registry
        self._http = http
        self.report = MergeReport()
        self._sink = _Direct(http, self.report.problems)
        self._target = RestStore(http, self._sink, lambda _: ((), None, {}))
        self._files = RestArtifacts(
            http, self._sink, self._target.artifact_uri, self._target.models_of
        )
        self._sink.handlers[records.UpdateRun] = self._target.send_update
        self._sink.handlers[records.LogInputs] = self._target.send_inputs
        self._experiments: dict[str, str] = {}  # ids there, by name
        self._there: dict[str, Run] = {}  # runs that are there, by their ids here
        self._models: dict[str, str] = {}  # ids of models there, by their ids here

    def bring(self, runs: Sequence[str], progress: Progress) -> MergeReport:
        chosen = self._with_children(runs)
        for done, run_id in enumerate(chosen):
            progress(done, len(chosen))
            try:
                self._bring_run(run_id)
            except StoreError:
                raise
            except NbtrackError as error:
                self.report.problems.append(f"The run {run_id} was left out: {error.message}")
        for model in self._registry.search_models():
            self._bring_versions(model, set(chosen))
        progress(len(chosen), len(chosen))
        return self.report

    def _with_children(self, runs: Sequence[str]) -> list[str]:
        """Return runs and those below them that are not in the trash, parents first."""
        table = self._store.run_table(RunQuery(max_results=-1))
        below: dict[str, list[str]] = {}
        for run_id, parent in zip(table.run_ids, table.info["parent_run_id"], strict=True):
            if parent is not None:
                below.setdefault(parent, []).append(run_id)
        found: dict[str, None] = {}
        waiting = list(reversed(runs))
        while waiting:
            run_id = waiting.pop()
            if run_id not in found:
                found[run_id] = None
                waiting += below.get(run_id, ())
        parents = {run_id: self._store.get_run(run_id).info.parent_run_id for run_id in found}

        def depth(run_id: str) -> int:
            seen = {run_id}
            while (parent := parents.get(run_id)) in found and parent not in seen:
                seen.add(run_id := parent or "")
            return len(seen)

        return sorted(found, key=depth)

    # -- runs

    def _bring_run(self, run_id: str) -> None:
        detail = self._store.get_run_detail(run_id)
        run = detail.run
        experiment_id = self._experiment(run.info.experiment_name)
        fingerprint = _fingerprint(detail)
        there = self._there.get(run_id)
        if there is not None and there.data.tags.get(_EXPORTED_TAG) == fingerprint:
            self.report.unchanged += 1
            return
        tags = self._tags(run)
        if there is None:
            new_id = self._target.create_run(
                NewRun(
                    run_id,
                    run.info.run_name,
                    run.info.experiment_name,
                    RunStatus.RUNNING,
                    run.info.start_time,
                    run.info.user_id,
                    experiment_id=experiment_id,
                    tags={RUN_TAG: run_id},
                )
            )
            self._there[run_id] = self._target.get_run(new_id)
        else:
            new_id = there.info.run_id
        self._target.set_tags(new_id, tags)
        self._target.log_params(new_id, run.data.params)
        for key in run.data.metrics:
            for series in self._store.metric_series([run_id], [key]):
                self._bring_points(new_id, series)
        if detail.inputs:
            self._target.log_inputs(new_id, detail.inputs)
        self._bring_files(detail, new_id, experiment_id)
        self._bring_linked(run_id, new_id)
        self._target.update_run(
            new_id, status=run.info.status, end_time=run.info.end_time, run_name=run.info.run_name
        )
        # Last: it says that all of it has arrived.
        self._target.set_tags(new_id, {_EXPORTED_TAG: fingerprint})
        (self.report.added if there is None else self.report.updated).append(run_id)

    def _experiment(self, name: str) -> str:
        """Return the id of an experiment there; it is made, and its exported runs are noted."""
        if name not in self._experiments:
            try:
                made = self._target.create_experiment(name)
                self.report.experiments.append(name)
            except AlreadyExistsError as error:
                found = self._target.get_experiment_by_name(name)
                if found is None or found.lifecycle_stage == LifecycleStage.DELETED:
                    raise InvalidParameterError(error.message, hint=error.hint) from None
                made = found.experiment_id
            query = RunQuery(
                experiment_ids=[made],
                filter=f"tags.`{RUN_TAG}` LIKE '%'",
                view_type=ViewType.ALL,
                max_results=-1,
            )
            for run in self._target.search_runs(query):
                self._there[run.data.tags[RUN_TAG]] = run
            self._experiments[name] = made
        return self._experiments[name]

    def _tags(self, run: Run) -> dict[str, str]:
        tags = dict(run.data.tags)
        tags.pop(PARENT_TAG, None)
        parent = run.info.parent_run_id
        if parent in self._there and parent is not None:
            tags[PARENT_TAG] = self._there[parent].info.run_id
        elif parent is not None:
            self.report.problems.append(
                f"The run {run.info.run_name} has lost its parent {parent}, which was not exported."
            )
        if run.info.error:
            tags[ERROR_TAG] = run.info.error[-outbox.MAX_TAG :]
        return tags

    def _bring_points(self, new_id: str, series: MetricSeries) -> None:
        for start in range(0, len(series.values), _POINTS):
            part = slice(start, start + _POINTS)
            points = zip(
                series.values[part].tolist(),
                series.timestamps[part].tolist(),
                series.steps[part].tolist(),
                strict=True,
            )
            self._sink.submit(AddPoints(new_id, [(series.key, *point) for point in points]))

    def _bring_linked(self, run_id: str, new_id: str) -> None:
        """Say again of which models points are; the points themselves are there."""
        linked = [
            replace(metric, model_id=self._models[metric.model_id])
            for metric in self._store.linked_metrics(run_id)
            if metric.model_id in self._models
        ]
        if linked:
            self._target.log_metrics(new_id, linked)

    # -- files and models

    def _bring_files(self, detail: RunDetail, new_id: str, experiment_id: str) -> None:
        run_id = detail.run.info.run_id
        made: list[tuple[str, str]] = []  # folder here, id there
        for model in detail.run.models:
            there = LoggedModels(self._http).make(replace(model, run_id=new_id), experiment_id)
            if there is not None and model.artifact_path:
                self._models[model.model_id] = there
                made.append((f"{model.artifact_path}/", there))
        with tempfile.TemporaryDirectory(prefix="nbtrack-") as folder:
            for file in detail.artifacts:
                owner, path = new_id, file.path
                for prefix, model_id in made:
                    if file.path.startswith(prefix):
                        owner, path = model_id, file.path.removeprefix(prefix)
                place = self._artifacts.download(run_id, file.path, Path(folder))
                with place.open("rb") as data:
                    self._files.write(owner, path, data)
                place.unlink()
                self.report.files += 1
                self.report.bytes += file.size_bytes
        for _, model_id in made:
            LoggedModels(self._http).finish(model_id, new_id)
        if detail.cell is not None and detail.cell.source:
            self._files.write(new_id, CELL, detail.cell.source.encode("utf-8", "replace"))
        if detail.environment:
            self._files.write(new_id, ENVIRONMENT, json.dumps(dict(detail.environment)).encode())

    # -- the registry

    def _bring_versions(self, model: RegisteredModel, chosen: set[str]) -> None:
        versions = [v for v in reversed(model.versions) if v.run_id in chosen]
        if not versions:
            return
        with contextlib.suppress(AlreadyExistsError):
            body = {
                "name": model.name,
                "description": model.description,
                "tags": [{"key": k, "value": v} for k, v in model.tags.items()],
            }
            self._http.call("POST", "registered-models/create", body, retries=0)
        known = {
            str(tag["value"])
            for item in self._versions_of(model.name)
            for tag in item.get("tags", ())
            if tag["key"] == VERSION_TAG
        }
        for version in versions:
            mark = f"{version.run_id}/{version.version}"
            if mark not in known:
                try:
                    self._bring_version(version, mark)
                except StoreError:
                    raise
                except NbtrackError as error:
                    self.report.problems.append(
                        f"Version {version.version} of {model.name} was left out: {error.message}"
                    )

    def _versions_of(self, name: str) -> Iterator[Mapping[str, Any]]:
        quote = "'" if '"' in name else '"'
        query: dict[str, Any] = {"filter": f"name = {quote}{name}{quote}", "max_results": 1_000}
        while True:
            found = self._http.call("GET", "model-versions/search", query=query)
            yield from found.get("model_versions", ())
            if not found.get("next_page_token"):
                return
            query["page_token"] = found["next_page_token"]

    def _bring_version(self, version: ModelVersion, mark: str) -> None:
        there = self._there.get(version.run_id or "")
        if there is None:
            raise InvalidParameterError(f"its run {version.run_id} did not arrive")
        body: dict[str, Any] = {
            "name": version.name,
            "run_id": there.info.run_id,
            "description": version.description,
            "tags": [
                {"key": key, "value": value}
                for key, value in {**version.tags, VERSION_TAG: mark}.items()
            ],
        }
        path = version.source.partition(f"{version.run_id}/")[2]
        models = [m for m in self._target.models_of(there.info.run_id) if m.artifact_path == path]
        if models:
            body |= {"source": f"models:/{models[0].model_id}", "model_id": models[0].model_id}
        else:
            body["source"] = f"{there.info.artifact_uri}/{path}"
        made = self._http.call(
            "POST", "model-versions/create", body, wants="model_version", retries=0
        )
        number = int(made["model_version"]["version"])
        at = {"name": version.name, "version": str(number)}
        if version.current_stage != _NO_STAGE:
            stage = {**at, "stage": version.current_stage, "archive_existing_versions": False}
            self._http.call("POST", "model-versions/transition-stage", stage)
        for alias in version.aliases:
            self._http.call("POST", "registered-models/alias", {**at, "alias": alias})
        self.report.versions.append(MergedVersion(version.name, number, version.version))


def _fingerprint(detail: RunDetail) -> str:
    """Return what tells whether anything of a run has changed."""
    run = detail.run
    facts = [
        str(run.info),
        sorted(run.data.params.items()),
        sorted(run.data.tags.items()),
        sorted(map(str, run.data.summaries.values())),
        sorted(map(str, detail.inputs)),
        sorted(map(str, detail.artifacts)),
        sorted(map(str, run.models)),
    ]
    return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
