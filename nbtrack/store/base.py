"""What a store of runs guarantees, whichever database lies under it.

There are three kinds of verbs. *Logging* verbs return at once and never raise for the state of the
database: what was handed over is stored in that order, as soon as the database takes it, and is
not lost when the process is killed. *Changing* verbs (`create_experiment`, `delete_tag` ...) return
when the change is stored. They and the *reading* verbs see everything that this process handed over
before, and raise `StoreError` when the database cannot answer. All verbs may be called from any
thread. Returned values are copies: changing them changes nothing stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nbtrack.types import (
    CellExecution,
    DatasetInput,
    Experiment,
    ExperimentQuery,
    LifecycleStage,
    Metric,
    MetricSeries,
    ModelInfo,
    Run,
    RunDetail,
    RunQuery,
    RunStatus,
    RunTable,
)


@dataclass(frozen=True, slots=True)
class Session:
    """The process that writes: enough to tell later whether it still lives."""

    session_id: str
    user_id: str
    host: str
    machine: str
    pid: int
    process_start: str
    notebook: str | None
    environment: Callable[[], Mapping[str, Any]]  # asked in the writer's thread
    start_ms: int


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a run is when it begins.

    ``experiment_id`` names an experiment that is there; without it, ``experiment_name`` is made if
    there is none of that name.
    """

    run_id: str
    run_name: str
    experiment_name: str
    status: RunStatus
    start_time: int
    user_id: str
    session_id: str | None = None
    parent_run_id: str | None = None
    execution_id: str | None = None
    experiment_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class Store(Protocol):
    """Experiments, runs, params, metrics, tags, inputs and cells."""

    # -- logging

    def create_run(self, run: NewRun) -> str:
        """Begin a run and return the id that it has from now on.

        A server gives ids of its own, and is asked at once: there this verb raises `StoreError`
        where it cannot be.
        """

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time: int | None = None,
        run_name: str | None = None,
        error: str | None = None,
    ) -> None:
        """Change what is given; the rest stays. RUNNING again takes the end time away."""

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Set params; a key that is there is overwritten, its old value kept in its history."""

    def log_metric(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> None:
        """Add a point: the fastest verb of all, because training loops call it.

        Raises
        ------
        struct.error
            `step` or `timestamp` is no whole number of 64 bits, `value` no number.
        """

    def expect_metrics(self, run_id: str, keys: Iterable[str]) -> None:
        """Hear of new metrics, whose first points come next: many at once are taken sooner."""

    def log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Add points, also such that belong to a model or a dataset."""

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; a key that is there is overwritten."""

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Add datasets that the run saw."""

    def log_model(self, model: ModelInfo) -> None:
        """Add a model whose files are among the run's artifacts."""

    def begin_cell(self, session_id: str, cell: CellExecution, digest: str) -> None:
        """Add a cell that began to execute."""

    def end_cell(self, execution_id: str, end_ms: int, outcome: str) -> None:
        """Note how the cell ended."""

    # -- changing

    def create_experiment(
        self, name: str, *, artifact_location: str = "", tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and return its id.

        Raises
        ------
        AlreadyExistsError
            There is one of that name, in the trash or not.
        """

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name.

        Raises
        ------
        NotFoundError, AlreadyExistsError
            There is no such experiment; another one has that name.
        """

    def set_experiment_stage(self, experiment_id: str, stage: LifecycleStage) -> None:
        """Put an experiment and its runs into the trash, or take them out of it.

        Raises
        ------
        NotFoundError
            There is no such experiment in the other stage.
        """

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of an experiment.

        Raises
        ------
        NotFoundError
            There is no such experiment.
        """

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Take a tag off an experiment.

        Raises
        ------
        NotFoundError
            There is no such experiment, or it has no such tag.
        """

    def set_run_stage(self, run_id: str, stage: LifecycleStage) -> None:
        """Put a run into the trash, or take it out of it; again is harmless.

        Raises
        ------
        NotFoundError
            There is no such run.
        """

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag off a run.

        Raises
        ------
        NotFoundError
            There is no such run, or it has no such tag.
        """

    # -- reading

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, in the trash or not.

        Raises
        ------
        NotFoundError
            There is none with that id.
        """

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of that name, in the trash or not."""

    def search_experiments(self, query: ExperimentQuery | None = None) -> list[Experiment]:
        """Return experiments; without a query all that are not in the trash, newest first."""

    def resolve_run_id(self, text: str) -> str:
        """Return the id of the run that a full id, a unique prefix of one, or a name means.

        A full id is found in the trash, too.

        Raises
        ------
        NotFoundError, InvalidParameterError
            No run, or more than one, is meant.
        """

    def get_run(self, run_id: str) -> Run:
        """Return a run.

        Raises
        ------
        NotFoundError
            There is no run with that id.
        """

    def get_run_detail(self, run_id: str) -> RunDetail:
        """Return a run with its inputs, artifacts, cell and environment."""

    def search_runs(self, query: RunQuery) -> list[Run]:
        """Return runs, each as an object.

        Raises
        ------
        InvalidParameterError
            The filter or the order cannot be read.
        """

    def run_table(self, query: RunQuery) -> RunTable:
        """Return runs by columns: much faster than `search_runs` where there are many."""

    def param_history(self, run_id: str, key: str) -> list[str]:
        """Return all values that a param of a run had, the present one last."""

    def metric_series(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        *,
        max_points: int | None = None,
    ) -> list[MetricSeries]:
        """Return the points of some metrics of some runs, run by run; absent ones are left out.

        Parameters
        ----------
        max_points
            About how many points of a series are wanted; smallest and largest value of each
            stretch are kept. None: all.
        """

    def linked_metrics(self, run_id: str) -> list[Metric]:
        """Return the points of a run that belong to a model or a dataset."""
