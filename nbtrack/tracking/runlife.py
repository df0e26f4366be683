"""Who a run is, and how it begins, goes on and ends; a part of `ActiveRun`."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from nbtrack.errors import InvalidParameterError
from nbtrack.provenance import redact
from nbtrack.provenance.cells import current_cell
from nbtrack.settings import settings
from nbtrack.tracking import events
from nbtrack.tracking.values import to_int
from nbtrack.tracking.workspace import Workspace
from nbtrack.types import (
    LifecycleStage,
    Metric,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunStatus,
)

if TYPE_CHECKING:
    from nbtrack.tracking.run import ActiveRun

_ENDS = {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}


class RunLife:
    """What a run is, and its life."""

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
        self._is_resumed = False
        self.place = workspace.place
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
        self.digests: list[tuple[str, str]] = []  # context and fingerprint of the data

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
        self.status, self.end_time = RunStatus.RUNNING, None
        self._system, self._is_resumed = None, True
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

        had = self.data.summaries.values() if self._is_resumed else ()
        steps = [metric.last_step for metric in had if metric.key.startswith(PREFIX)]

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
            first_step=max(steps, default=-1) + 1,
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
        events.announce(cast("ActiveRun", self))


def now_ms() -> int:
    """Return the time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
