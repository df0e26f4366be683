"""The handle of a run: what a user, or an integration, writes to.

Every verb returns at once; the writer stores what was said in that order. The handle also keeps
what it was told (status, params, last metrics), so that a card can be drawn without the database.
"""

from __future__ import annotations

import struct
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from nbtrack.errors import InvalidParameterError
from nbtrack.models import take_snapshot
from nbtrack.models.flavors import ModelTooLargeError
from nbtrack.provenance import redact
from nbtrack.provenance.cells import current_cell
from nbtrack.settings import settings
from nbtrack.tracking import events, notices
from nbtrack.tracking.modelfiles import ModelFiles
from nbtrack.tracking.names import new_id
from nbtrack.tracking.runfiles import RunFiles
from nbtrack.tracking.values import masked, to_float, to_int, to_key, to_text, to_texts
from nbtrack.tracking.workspace import Workspace
from nbtrack.types import (
    DatasetInput,
    LifecycleStage,
    Metric,
    ModelInfo,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunStatus,
)

MODEL_PATH = "model"
_ENDS = {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}


class ActiveRun(RunFiles):
    """A run that can be written to, also after it has ended (metrics that come later).

    Made by `nbtrack.start_run`, `nbtrack.Client.start_run` and `nbtrack.Client.create_run`; as a
    context manager it ends itself: FINISHED, FAILED with the traceback, or KILLED by an interrupt.
    It has ``info``, ``data`` and ``inputs`` as MLflow's: these are read from the database.

    Attributes
    ----------
    run_id, run_name, experiment_name, parent_run_id, user_id
        Who it is.
    path
        The database it is in.
    status
        `RunStatus`.
    start_time, end_time
        In ms since 1970 UTC; end_time is None while it runs.
    params, metrics, tags
        What this handle was told: texts, and the last value of each metric.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine") as run:
    ...     run.log_metric("loss", 0.5)
    >>> isinstance(run, nbtrack.ActiveRun), run.info.run_name, run.data.metrics
    (True, 'mine', {'loss': 0.5})
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        run_id: str,
        run_name: str,
        experiment_name: str,
        start_time: int,
        execution_id: str | None = None,
        experiment_id: str | None = None,
        parent_run_id: str | None = None,
        user_id: str = "",
    ) -> None:
        self._workspace = workspace
        self._add_point = workspace.store.log_metric
        self._experiment_id = experiment_id
        self._system: Any = None
        self.path = workspace.path
        self.run_id = run_id
        self.run_name = run_name
        self.experiment_name = experiment_name
        self.execution_id = execution_id
        self.parent_run_id = parent_run_id
        self.user_id = user_id
        self.lifecycle_stage = LifecycleStage.ACTIVE
        self.status = RunStatus.RUNNING
        self.start_time = start_time
        self.end_time: int | None = None
        self.error: str | None = None
        self.params: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.tags: dict[str, str] = {}
        self.highlights: dict[str, None] = {}

    @classmethod
    def attached(cls, workspace: Workspace, stored: Run) -> Self:
        """Return a handle of a run that is stored."""
        info = stored.info
        run = cls(
            workspace,
            run_id=info.run_id,
            run_name=info.run_name,
            experiment_name=info.experiment_name,
            start_time=info.start_time,
            experiment_id=info.experiment_id,
            parent_run_id=info.parent_run_id,
            user_id=info.user_id,
        )
        run.lifecycle_stage, run.status = info.lifecycle_stage, info.status
        run.end_time, run.error = info.end_time, info.error
        run.params, run.metrics = dict(stored.data.params), dict(stored.data.metrics)
        run.tags = {k: v for k, v in stored.data.tags.items() if not k.startswith("mlflow.")}
        return run

    def __repr__(self) -> str:
        return f"<ActiveRun {self.run_name} {self.run_id[:8]} {self.status}>"

    # -- what it is

    @property
    def experiment_id(self) -> str:
        """Id of its experiment."""
        if self._experiment_id is None:
            self._experiment_id = self._stored().info.experiment_id
        return self._experiment_id

    @property
    def info(self) -> RunInfo:
        """Identity and life of the run."""
        return RunInfo(
            run_id=self.run_id,
            run_name=self.run_name,
            experiment_id=self.experiment_id,
            experiment_name=self.experiment_name,
            status=self.status,
            start_time=self.start_time,
            end_time=self.end_time,
            user_id=self.user_id,
            lifecycle_stage=self.lifecycle_stage,
            artifact_uri=self.artifact_uri,
            parent_run_id=self.parent_run_id,
            error=self.error,
        )

    @property
    def artifact_uri(self) -> str:
        """Where its artifacts are: ``runs:/<run id>``."""
        return f"runs:/{self.run_id}"

    @property
    def data(self) -> RunData:
        """Params, tags and metrics as they are stored by now."""
        return self._stored().data

    @property
    def inputs(self) -> RunInputs:
        """The datasets that the run saw."""
        return self._stored().inputs

    def to_dictionary(self) -> dict[str, Any]:
        """Return info, data and inputs as plain dicts."""
        return self._stored().to_dictionary()

    def _stored(self) -> Run:
        return self._workspace.store.get_run(self.run_id)

    # -- params, metrics, tags

    def log_param(self, key: str, value: object) -> None:
        """Set a param; its text is taken now. A key that is there is overwritten."""
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, object], highlights: Iterable[str] = ()) -> None:
        """Set several params.

        Parameters
        ----------
        highlights
            Keys of the params that somebody chose, as far as it is known: a card shows these.
        """
        self.highlights |= dict.fromkeys(highlights)
        self._set_params(to_texts(params))

    def _set_params(self, texts: dict[str, str]) -> None:
        if texts:
            self.params |= texts
            self._workspace.store.log_params(self.run_id, texts)
            self._changed()

    def log_metric(
        self, key: str, value: float, step: int | None = 0, timestamp: int | None = None
    ) -> None:
        """Add a point to a metric.

        Parameters
        ----------
        value
            Anything that `float` takes but text: also 0-dimensional arrays and tensors.
        step
            Place of the point; may be negative.
        timestamp
            Milliseconds since 1970 UTC; default: now.

        Raises
        ------
        InvalidParameterError
            The value is no number; step or timestamp is no whole number of 64 bits.
        """
        # Training loops call this: what is of the right type already is not looked at again.
        if type(key) is not str or not key:
            key = to_key(key)
        if type(value) is not float:
            value = to_float(key, value)
        if type(step) is not int:
            step = 0 if step is None else to_int("step", step)
        if timestamp is None:
            timestamp = time.time_ns() // 1_000_000
        elif type(timestamp) is not int:
            timestamp = to_int("timestamp", timestamp)
        try:
            self._add_point(self.run_id, key, value, step, timestamp)
        except struct.error:
            to_int("step", step)
            to_int("timestamp", timestamp)
            raise
        self.metrics[key] = value
        if events.listeners:
            self._changed()

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = 0, timestamp: int | None = None
    ) -> None:
        """Add a point to each of several metrics; none, if one of them cannot be."""
        at = now_ms() if timestamp is None else to_int("timestamp", timestamp)
        place = 0 if step is None else to_int("step", step)
        values = {(name := to_key(key)): to_float(name, value) for key, value in metrics.items()}
        for key, value in values.items():
            self._add_point(self.run_id, key, value, place, at)
        if values:
            self.metrics |= values
            self._changed()

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag. A key that is there is overwritten."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags."""
        self._set_tags(to_texts(tags))

    def _set_tags(self, texts: dict[str, str]) -> None:
        if texts:
            self.tags |= texts
            self.run_name = texts.get("mlflow.runName") or self.run_name
            self._workspace.store.set_tags(self.run_id, texts)
            self._changed()

    def delete_tag(self, key: str) -> None:
        """Take a tag off.

        Raises
        ------
        NotFoundError
            There is no such tag.
        """
        self._workspace.store.delete_tag(self.run_id, key)
        self.tags.pop(key, None)
        self._changed()

    def log_batch(
        self,
        metrics: Sequence[Any] = (),
        params: Sequence[Any] = (),
        tags: Sequence[Any] = (),
    ) -> None:
        """Log `Metric`, `Param` and `RunTag` objects together; nothing, if one of them cannot be.

        Points may belong to a model or a dataset. Objects of MLflow's are taken, too.
        """
        points = [
            Metric(
                (key := to_key(m.key)),
                to_float(key, m.value),
                to_int("timestamp", m.timestamp),
                to_int("step", m.step),
                m.model_id,
                m.dataset_name,
                m.dataset_digest,
            )
            for m in metrics
        ]
        texts, marks = (
            masked((to_key(item.key), to_text(item.value)) for item in items)
            for items in (params, tags)
        )
        if points:
            self.metrics |= {point.key: point.value for point in points}
            self._workspace.store.log_metrics(self.run_id, points)
        self._set_params(texts)
        self._set_tags(marks)
        if points and not (texts or marks):
            self._changed()

    # -- data and models

    def log_input(
        self,
        data: object,
        name: str | None = None,
        context: str | None = "train",
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """Note what data the run saw: shape, schema and fingerprint are taken now, not the data.

        Does nothing where the setting ``log_datasets`` is off.

        Parameters
        ----------
        data
            A dataset of `nbtrack.data` or MLflow's, or the data itself.
        name
            What it is called; default: the dataset's own name.
        context
            What it is used for: train, eval, target ...
        tags
            More about this use of it.
        """
        if settings.log_datasets:
            from nbtrack.data import to_record

            self.log_inputs(
                [DatasetInput(to_record(data, name), context or "", to_texts(tags or {}))]
            )

    def log_inputs(self, inputs: Sequence[DatasetInput]) -> None:
        """Note several datasets that the run saw."""
        if settings.log_datasets and inputs:
            self._workspace.store.log_inputs(self.run_id, inputs)

    def log_model(self, model: object, flavor: str, artifact_path: str = MODEL_PATH) -> None:
        """Keep a model as it is now. Packing and storing it happen in the writer's thread.

        Does nothing where the setting ``log_models`` is off. A model above ``max_model_mb`` is
        left out with a notice.

        Raises
        ------
        Exception
            Whatever pickling the model raises: some models cannot be.
        """
        if not settings.log_models:
            return
        try:
            snapshot = take_snapshot(model, flavor, max_bytes=settings.max_model_mb * 2**20)
        except ModelTooLargeError as error:
            notices.warn(
                f"The model of run {self.run_name} is left out: {error}", cause="model too large"
            )
            return
        model_id = new_id()
        self._workspace.writer.submit(ModelFiles(snapshot, self.run_id, artifact_path, model_id))
        self._workspace.store.log_model(
            ModelInfo(
                model_id=model_id,
                run_id=self.run_id,
                artifact_path=artifact_path,
                flavor=flavor,
                model_class=snapshot.model_class,
                size_bytes=snapshot.size_bytes,
                created_ms=now_ms(),
            )
        )
        self._changed()

    # -- life

    def end(
        self,
        status: str = RunStatus.FINISHED,
        error: str | None = None,
        end_time: int | None = None,
    ) -> None:
        """End the run; again is harmless.

        Parameters
        ----------
        status
            FINISHED, FAILED or KILLED.
        error
            Traceback or reason, for a run that failed.
        end_time
            Milliseconds since 1970 UTC; default: now.
        """
        if self.end_time is not None:
            return
        if status not in _ENDS:
            raise InvalidParameterError(
                f"{status!r} is no status that a run ends with.",
                hint="Use FINISHED, FAILED or KILLED.",
            )
        if self._system is not None:
            self._system.stop()
        self.status = RunStatus(status)
        self.end_time = now_ms() if end_time is None else to_int("end time", end_time)
        self.error = None if error is None else redact(error)
        self._workspace.store.update_run(
            self.run_id, status=self.status, end_time=self.end_time, error=self.error
        )
        self._changed()

    def resume(self) -> None:
        """Go on with a run that has ended: it is RUNNING again."""
        cell = current_cell()
        self.execution_id = None if cell is None else cell.execution_id  # its card is there
        self.status, self.end_time, self._system = RunStatus.RUNNING, None, None
        self._workspace.store.update_run(self.run_id, status=RunStatus.RUNNING)
        self._changed()

    def update(self, status: str | None = None, name: str | None = None) -> None:
        """Change status or name, and nothing else.

        Raises
        ------
        InvalidParameterError
            There is no such status.
        """
        if status is not None:
            if status not in set(RunStatus):
                raise InvalidParameterError(
                    f"{status!r} is no status of a run.", hint=f"Use one of {', '.join(RunStatus)}."
                )
            self.status = RunStatus(status)
            if self.status is RunStatus.RUNNING:
                self.end_time = None
        self.run_name = name or self.run_name
        self._workspace.store.update_run(
            self.run_id, status=None if status is None else self.status, run_name=name or None
        )
        self._changed()

    def measure_system(self) -> None:
        """Log how busy the machine is, until the run ends; see the settings ``system_metrics...``.

        Raises
        ------
        MissingPackageError
            psutil is not installed.
        """
        from nbtrack.tracking.system_metrics import PREFIX, SystemMetrics

        had = [key for key in self.metrics if key.startswith(PREFIX)]
        summaries = self.data.summaries if had else {}

        # Not `log_metrics`: a card is no place for these, nor the thread one to draw it in.
        def log(metrics: Mapping[str, float], step: int) -> None:
            at = now_ms()
            points = [Metric(key, value, at, step) for key, value in metrics.items()]
            self._workspace.store.log_metrics(self.run_id, points)

        watch = SystemMetrics(
            log,
            settings.system_metrics_interval,
            settings.system_metrics_samples,
            node_id=settings.system_metrics_node_id or None,
            first_step=max((summaries[key].last_step for key in had), default=-1) + 1,
        )
        watch.start()
        self._system = watch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.end()
        elif isinstance(error, Exception):
            self.end(RunStatus.FAILED, "".join(traceback.format_exception(error)))
        else:  # KeyboardInterrupt, SystemExit
            self.end(RunStatus.KILLED)

    @property
    def duration_ms(self) -> int:
        """Wall time so far, or in all."""
        return (self.end_time or now_ms()) - self.start_time

    def _changed(self) -> None:
        events.announce(self)


def now_ms() -> int:
    """Return the time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
