"""What a store of runs guarantees, whichever database lies under it.

The writing verbs return at once and never raise for the state of the database: what was handed
over is stored in that order, as soon as the database takes it. `call`-like verbs (the ones that
return something) and all reading verbs see everything that was written before them by this
process, and raise `StoreError` when the database cannot answer. All verbs may be called from any
thread. Returned values are copies: changing them changes nothing stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nbtrack.types import (
    CellExecution,
    DatasetInput,
    Experiment,
    Metric,
    MetricSeries,
    ModelInfo,
    Run,
    RunDetail,
    RunStatus,
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
    """What a run is when it begins."""

    run_id: str
    run_name: str
    experiment_name: str
    status: RunStatus
    start_time: int
    user_id: str
    session_id: str | None = None
    parent_run_id: str | None = None
    execution_id: str | None = None


class Store(Protocol):
    """Runs, params, metrics, tags, inputs and cells."""

    # -- writing

    def create_run(self, run: NewRun) -> None:
        """Begin a run; its experiment is made if there is none of that name."""

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

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Set params; a key that is there is overwritten."""

    def log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Add points."""

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

    # -- reading

    def get_experiment(self, name: str) -> Experiment | None:
        """Return the experiment of that name, in the trash or not."""

    def search_experiments(self) -> list[Experiment]:
        """Return all experiments that are not in the trash, newest first."""

    def resolve_run_id(self, text: str) -> str:
        """Return the id of the run that a full id, a unique prefix of one, or a name means.

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

    def search_runs(
        self,
        *,
        experiment_names: Sequence[str] | None = None,
        run_ids: Sequence[str] | None = None,
        max_results: int = 1000,
    ) -> list[Run]:
        """Return runs that are not in the trash, newest first."""

    def metric_series(
        self, run_ids: Sequence[str], key: str, *, max_points: int | None = None
    ) -> list[MetricSeries]:
        """Return the points of one metric of several runs, in the order of the runs.

        Parameters
        ----------
        max_points
            About how many points of a series are wanted; smallest and largest value of each
            stretch are kept. None: all.
        """
