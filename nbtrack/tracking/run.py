"""The handle of a run: what a user, or an integration, writes to.

Every verb returns at once; the writer stores what was said in that order. The handle also keeps
what it was told (status, params, last metrics), so that a card can be drawn without the database.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from nbtrack.errors import InvalidParameterError
from nbtrack.models import take_snapshot
from nbtrack.models.flavors import ModelTooLargeError
from nbtrack.provenance import describe, redact, redact_value
from nbtrack.settings import settings
from nbtrack.tracking import notices
from nbtrack.tracking.events import announce
from nbtrack.tracking.modelfiles import ModelFiles
from nbtrack.tracking.names import new_id
from nbtrack.tracking.workspace import Workspace
from nbtrack.types import DatasetInput, Metric, ModelInfo, RunStatus

MODEL_PATH = "model"
_ENDS = {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}


class ActiveRun:
    """A run that can be written to, also after it has ended (metrics that come later).

    Made by `nbtrack.start_run` and `nbtrack.Client.start_run`; as a context manager it ends
    itself: FINISHED, FAILED with the traceback, or KILLED by an interrupt.

    Attributes
    ----------
    run_id, run_name, experiment_name
        Who it is.
    path
        The database it is in.
    status
        `RunStatus`.
    start_time, end_time
        In ms since 1970 UTC; end_time is None while it runs.
    params, metrics
        What this handle was told: texts, and the last value of each metric.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        run_name: str,
        experiment_name: str,
        execution_id: str | None,
        start_time: int,
        run_id: str,
    ) -> None:
        self._workspace = workspace
        self.path = workspace.path
        self.run_id = run_id
        self.run_name = run_name
        self.experiment_name = experiment_name
        self.execution_id = execution_id
        self.status = RunStatus.RUNNING
        self.start_time = start_time
        self.end_time: int | None = None
        self.error: str | None = None
        self.params: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.tags: dict[str, str] = {}
        self.highlights: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<ActiveRun {self.run_name} {self.run_id[:8]} {self.status}>"

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
        texts = {str(key): redact_value(str(key), _text(value)) for key, value in params.items()}
        if texts:
            self.params |= texts
            self._workspace.store.log_params(self.run_id, texts)
            self._changed()

    def log_metric(
        self, key: str, value: float, step: int = 0, timestamp: int | None = None
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
        self.log_metrics({key: value}, step, timestamp)

    def log_metrics(
        self, metrics: Mapping[str, float], step: int = 0, timestamp: int | None = None
    ) -> None:
        """Add a point to each of several metrics."""
        at = _now_ms() if timestamp is None else _int("timestamp", timestamp)
        place = _int("step", step)
        points = [Metric(str(key), _float(key, value), at, place) for key, value in metrics.items()]
        if points:
            self.metrics |= {point.key: point.value for point in points}
            self._workspace.store.log_metrics(self.run_id, points)
            self._changed()

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag. A key that is there is overwritten."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags."""
        texts = {str(key): redact_value(str(key), _text(value)) for key, value in tags.items()}
        if texts:
            self.tags |= texts
            self._workspace.store.set_tags(self.run_id, texts)
            self._changed()

    # -- data and models

    def log_input(self, data: object, name: str, context: str = "train") -> None:
        """Note what data the run saw: shape, schema and fingerprint are taken now, not the data.

        Does nothing where the setting ``log_datasets`` is off.
        """
        if settings.log_datasets:
            item = DatasetInput(describe(data, name), context)
            self._workspace.store.log_inputs(self.run_id, [item])

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
                created_ms=_now_ms(),
            )
        )
        self._changed()

    # -- life

    def end(self, status: str = RunStatus.FINISHED, error: str | None = None) -> None:
        """End the run; again is harmless.

        Parameters
        ----------
        status
            FINISHED, FAILED or KILLED.
        error
            Traceback or reason, for a run that failed.
        """
        if self.end_time is not None:
            return
        if status not in _ENDS:
            raise InvalidParameterError(
                f"{status!r} is no status that a run ends with.",
                hint="Use FINISHED, FAILED or KILLED.",
            )
        self.status = RunStatus(status)
        self.end_time = _now_ms()
        self.error = None if error is None else redact(error)
        self._workspace.store.update_run(
            self.run_id, status=self.status, end_time=self.end_time, error=self.error
        )
        self._changed()

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
        return (self.end_time or _now_ms()) - self.start_time

    def _changed(self) -> None:
        announce(self)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - somebody's __repr__; the other params count
        return f"<{type(value).__name__} that has no text: {type(error).__name__}>"


def _float(key: str, value: Any) -> float:
    try:
        if isinstance(value, (str, bytes, bytearray)):
            raise TypeError  # `float` reads numbers out of text: more often a mistake than meant
        return float(value)
    except (TypeError, ValueError):
        raise InvalidParameterError(
            f"The metric {key!r} cannot have the value {value!r}, a {type(value).__name__}.",
            hint="Metrics are numbers; texts go to log_param or set_tag.",
        ) from None
    except OverflowError:  # an int beyond any float
        return math.inf if value > 0 else -math.inf


def _int(name: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not -(2**63) <= number < 2**63:
        raise InvalidParameterError(
            f"The {name} of a metric cannot be {value!r}.", hint="Use a whole number of 64 bits."
        )
    return number


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
