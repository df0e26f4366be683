"""The store on a tracking server, by MLflow's REST protocol.

Logging verbs put records into the journal of the sender; changing and reading verbs ask the server,
after what this process logged has arrived there. What the protocol has no word for:

- of a metric the server tells the last point; `MetricSummary` has NaN and 0 for the rest;
- a param cannot be changed, so that its history is its one value;
- the error of a run is a tag, its model a logged model; there are no cells and no sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbtrack.db import LogSink, storable
from nbtrack.errors import AlreadyExistsError, NotFoundError
from nbtrack.store import records
from nbtrack.store.base import NewRun
from nbtrack.store.outbox import MAX_TAG, Begun
from nbtrack.store.rest_reading import Extras, RestReading
from nbtrack.types import CellExecution, DatasetInput, LifecycleStage, Metric, ModelInfo, RunStatus
from nbtrack.wire.http import Http
from nbtrack.wire.messages import ERROR_TAG, PARENT_TAG, input_to_json, pairs_to_json

CELL = "nbtrack/cell.py"
ENVIRONMENT = "nbtrack/environment.json"
_MAX_DIGEST = 36  # of a dataset; what is cut off of a longer one leaves it a fingerprint
_CREATE_S = 10.0


class RestStore(RestReading):
    """A `nbtrack.store.base.Store` on a tracking server.

    Parameters
    ----------
    http
        The server.
    sink
        Where records go: the sender.
    extras
        Asked for what a run's artifacts tell of it.
    """

    def __init__(self, http: Http, sink: LogSink, extras: Extras) -> None:
        super().__init__(http, sink, extras)
        self.log_metric = sink.add_point  # type: ignore[method-assign]  # as in SqliteStore

    # -- logging

    def create_run(self, run: NewRun) -> str:
        """Begin a run, and return the id that the server gives."""
        experiment_id = run.experiment_id or self._experiment(run.experiment_name)
        tags = {storable(k): storable(v)[:MAX_TAG] for k, v in run.tags.items()}
        if run.parent_run_id:
            tags.setdefault(PARENT_TAG, run.parent_run_id)
        made = self._http.call(
            "POST",
            "runs/create",
            {
                "experiment_id": experiment_id,
                "user_id": storable(run.user_id),
                "run_name": storable(run.run_name),
                "start_time": run.start_time,
                "tags": pairs_to_json(tags),
            },
            wants="run",
            retries=0,  # asked twice, it would make two
            timeout=_CREATE_S,
        )
        info = made["run"]["info"]
        run_id = str(info["run_id"])
        self._know(run_id, str(info.get("artifact_uri", "")))
        if run.status != RunStatus.RUNNING:
            self.update_run(run_id, status=run.status)
        return run_id

    def _experiment(self, name: str) -> str:
        """Return the id of an experiment, which is made if it is not there."""
        for known, its_name in self._names.items():
            if its_name == name:
                return known
        try:
            return self.create_experiment(name)
        except AlreadyExistsError:
            found = self.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage == LifecycleStage.DELETED:
                raise
            return found.experiment_id

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time: int | None = None,
        run_name: str | None = None,
        error: str | None = None,
    ) -> None:
        """Change what is given; the rest stays."""
        changes = {"status": status, "end_time": end_time, "run_name": run_name}
        given = {column: value for column, value in changes.items() if value is not None}
        if error is not None:
            # The end of a traceback says what went wrong.
            self.set_tags(run_id, {ERROR_TAG: storable(error)[-MAX_TAG:]})
        if given:
            self._sink.submit(records.UpdateRun(run_id, given))

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Set params."""
        self._sink.submit(records.LogParams(run_id, dict(params), records.now_ms()))

    def log_metric(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> None:
        """Add a point."""
        self._sink.add_point(run_id, key, value, step, timestamp)

    def expect_metrics(self, run_id: str, keys: Iterable[str]) -> None:
        """Hear of new metrics, whose first points come next."""
        self._sink.expect(run_id, keys)

    def log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Add points, also such that belong to a model or a dataset."""
        linked = []
        for m in metrics:
            if m.model_id or m.dataset_name or m.dataset_digest:
                linked.append(m)
            else:
                self._sink.add_point(run_id, m.key, m.value, m.step, m.timestamp)
        if linked:
            self._sink.submit(records.LinkMetrics(run_id, linked))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        if tags:
            self._sink.submit(records.SetTags(run_id, dict(tags)))

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Add datasets that the run saw."""
        self._sink.submit(records.LogInputs(run_id, tuple(inputs)))

    def log_model(self, model: ModelInfo) -> None:
        """Note a model whose files were handed over before: the server has it by these already."""

    def begin_cell(self, session_id: str, cell: CellExecution, digest: str) -> None:
        """Note a cell: a server has none; those that begin a run become one of its files."""

    def end_cell(self, execution_id: str, end_ms: int, outcome: str) -> None:
        """Note how a cell ended; see `begin_cell`."""

    def begun(self, run_id: str, session_id: str, cell: str | None) -> None:
        """Keep what a database would know of a run's beginning."""
        self._sink.submit(Begun(run_id, session_id, cell))

    # -- what the sender's thread does with records

    def send_update(self, record: records.UpdateRun) -> None:
        """Change status, end or name of a run."""
        self._post("runs/update", {"run_id": record.run_id, **record.changes})

    def send_inputs(self, record: records.LogInputs) -> None:
        """Add datasets that the run saw."""
        items = [input_to_json(item) for item in record.inputs]
        for item in items:
            data = item["dataset"]
            data["digest"] = data.get("digest", "")[:_MAX_DIGEST]
            data.setdefault("source", "")
        self._post("runs/log-inputs", {"run_id": record.run_id, "datasets": items})

    # -- changing

    def create_experiment(
        self, name: str, *, artifact_location: str = "", tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and return its id."""
        body: dict[str, Any] = {"name": storable(name), "tags": pairs_to_json(tags or {})}
        if artifact_location:
            body["artifact_location"] = artifact_location
        try:
            made = self._http.call(
                "POST", "experiments/create", body, wants="experiment_id", retries=0
            )
        except AlreadyExistsError:
            raise self._taken(name) from None
        self._names[str(made["experiment_id"])] = storable(name)
        return str(made["experiment_id"])

    def _taken(self, name: str) -> AlreadyExistsError:
        found = self.get_experiment_by_name(name)
        deleted = found is not None and found.lifecycle_stage == LifecycleStage.DELETED
        return AlreadyExistsError(
            f"Experiment(name={name}) already exists{' in deleted state' if deleted else ''}.",
            hint="Restore it, or choose another name." if deleted else "Choose another name.",
        )

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name."""
        self.get_experiment(experiment_id)
        other = self.get_experiment_by_name(name)
        if other is not None and other.experiment_id != experiment_id:
            raise self._taken(name)
        if other is None:
            self._post(
                "experiments/update", {"experiment_id": experiment_id, "new_name": storable(name)}
            )
        self._names.pop(experiment_id, None)

    def set_experiment_stage(self, experiment_id: str, stage: LifecycleStage) -> None:
        """Put an experiment and its runs into the trash, or take them out of it."""
        if self.get_experiment(experiment_id).lifecycle_stage == stage:
            raise NotFoundError(
                f"The experiment {experiment_id} is {stage} already.",
                hint="nbtrack.search_experiments(view_type='ALL') lists all experiments.",
            )
        verb = "delete" if stage == LifecycleStage.DELETED else "restore"
        self._names.pop(experiment_id, None)
        self._post(f"experiments/{verb}", {"experiment_id": experiment_id})

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of an experiment."""
        self.get_experiment(experiment_id)
        for key, value in tags.items():
            self._post(
                "experiments/set-experiment-tag",
                {"experiment_id": experiment_id, "key": storable(key), "value": storable(value)},
            )

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Take a tag off an experiment."""
        if key not in self.get_experiment(experiment_id).tags:
            raise NotFoundError(f"The experiment {experiment_id} has no tag {key!r}.")
        self._post(
            "experiments/delete-experiment-tag", {"experiment_id": experiment_id, "key": key}
        )

    def set_run_stage(self, run_id: str, stage: LifecycleStage) -> None:
        """Put a run into the trash, or take it out of it."""
        self._sink.flush()
        verb = "delete" if stage == LifecycleStage.DELETED else "restore"
        self._post(f"runs/{verb}", {"run_id": run_id})

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag off a run."""
        self._sink.flush()
        self._post("runs/delete-tag", {"run_id": run_id, "key": storable(key)})
