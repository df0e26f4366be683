"""The words of the field as plain values: what the store returns and the API hands out.

Times are whole milliseconds since 1970-01-01 UTC, as MLflow has them; a name says so by ``_ms``
or is one of MLflow's own (``start_time``, ``end_time``, ``timestamp``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


CANDIDATE_TAG = "nbtrack.candidate"
"""Has a run that is one candidate of a search: tables of runs show the search instead."""
ADOPTED_TAG = "nbtrack.adopted"
"""Has a run that was made of a fitted model: nobody saw the fit."""
NOTICE_TAGS = "nbtrack.notice."
"""Begin with this, and go on with its kind: one sentence that people are told of the run."""
TWIN_TAG = "nbtrack.identical_run"
"""The id of an earlier run that was made of the same."""


class RunStatus(StrEnum):
    """State of a run."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class ViewType(StrEnum):
    """Which of the runs or experiments a search looks at: those in the trash, or not."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


class LifecycleStage(StrEnum):
    """Whether a run or an experiment is in the trash."""

    ACTIVE = "active"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Metric:
    """One point of a metric, and the model and the dataset that it was measured with, if told."""

    key: str
    value: float
    timestamp: int
    step: int
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Param:
    """A param, as `Client.log_batch` takes it."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class RunTag:
    """A tag of a run, as `Client.log_batch` takes it."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class InputTag:
    """A tag of a dataset in its part for a run, as `Client.log_inputs` takes it."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """What is kept of a metric besides its points, so that tables never read histories.

    ``last`` is the value of the greatest (step, timestamp, value), as in MLflow; ``first`` of
    the smallest. NaN takes part in neither ``min`` nor ``max`` unless there is nothing else.
    """

    key: str
    last: float
    last_step: int
    last_timestamp: int
    first: float
    min: float
    max: float
    count: int


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs."""

    experiment_id: str
    name: str
    lifecycle_stage: LifecycleStage
    creation_time: int
    last_update_time: int
    artifact_location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is known of data that a run saw; never the data itself.

    Parameters
    ----------
    name
        The user's own name for it: the variable.
    digest
        Fingerprint with its algorithm as prefix; ``xxh3`` of all bytes, ``xxh3-sampled`` of
        some of them; empty where none could be taken in time.
    source_type
        Kind of container: ``numpy``, ``pandas``, ``scipy.sparse``, ``list`` ...
    schema
        JSON-able description: columns or dtype.
    profile
        JSON-able facts: shape, bytes.
    source
        Where it came from: JSON text or a URI; empty where it is not known.
    """

    name: str
    digest: str
    source_type: str
    schema: Mapping[str, Any]
    profile: Mapping[str, Any]
    source: str = ""


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset in its part for a run: context is ``train``, ``target``, ``eval`` ..."""

    dataset: Dataset
    context: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellExecution:
    """One execution of one notebook cell."""

    execution_id: str
    execution_count: int | None
    cell_id: str | None
    source: str
    start_ms: int
    end_ms: int | None = None
    outcome: str | None = None  # "ok", "error" or "interrupted"; None while it runs


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a run logged: where its directory lies among the run's artifacts.

    The last five are MLflow's, of its logged models.
    """

    model_id: str
    run_id: str
    artifact_path: str
    flavor: str
    model_class: str
    size_bytes: int
    created_ms: int
    name: str = ""
    model_type: str = ""
    status: str = "LOGGED_MODEL_READY"
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """A file among the artifacts of a run."""

    path: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file or a folder right below a path among the artifacts of a run."""

    path: str
    is_dir: bool
    file_size: int | None


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Identity and life of a run."""

    run_id: str
    run_name: str
    experiment_id: str
    experiment_name: str
    status: RunStatus
    start_time: int
    end_time: int | None
    user_id: str
    lifecycle_stage: LifecycleStage
    artifact_uri: str
    parent_run_id: str | None = None
    error: str | None = None

    @property
    def duration_ms(self) -> int | None:
        """Wall time from start to end, or None while the run goes on."""
        return None if self.end_time is None else self.end_time - self.start_time

    @property
    def run_uuid(self) -> str:
        """The id, by the name that it had in MLflow before."""
        return self.run_id


@dataclass(frozen=True, slots=True)
class RunData:
    """Params, tags and the last value of each metric of a run."""

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    summaries: Mapping[str, MetricSummary] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunInputs:
    """The datasets that a run saw."""

    dataset_inputs: tuple[DatasetInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is stored: ``run.info``, ``run.data``, ``run.inputs``, as in MLflow."""

    info: RunInfo
    data: RunData
    inputs: RunInputs = RunInputs()
    models: tuple[ModelInfo, ...] = ()
    execution_count: int | None = None
    notebook: str | None = None

    def to_dictionary(self) -> dict[str, Any]:
        """Return info, data and inputs as plain dicts, as MLflow does."""
        info = {f.name: getattr(self.info, f.name) for f in fields(self.info)}
        return {
            "info": {k: str(v) if isinstance(v, StrEnum) else v for k, v in info.items()},
            "data": {
                "metrics": dict(self.data.metrics),
                "params": dict(self.data.params),
                "tags": dict(self.data.tags),
            },
            "inputs": {"dataset_inputs": [asdict(item) for item in self.inputs.dataset_inputs]},
        }


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, in which order: what a search is asked for.

    Parameters
    ----------
    experiment_ids, run_ids
        Only these; None: all.
    filter
        In the grammar of `nbtrack.store.search`; empty: all.
    order_by
        Keys with ASC or DESC; ties, and without any: newest first.
    view_type
        Whether runs in the trash are meant.
    max_results, offset
        The part of the result that is wanted.
    """

    experiment_ids: Sequence[str] | None = None
    run_ids: Sequence[str] | None = None
    filter: str = ""
    order_by: Sequence[str] = ()
    view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ExperimentQuery:
    """Which experiments, in which order; see `RunQuery`."""

    filter: str = ""
    order_by: Sequence[str] = ()
    view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with what is too long for a table: its data, its cell, its environment."""

    run: Run
    inputs: tuple[DatasetInput, ...]
    artifacts: tuple[ArtifactInfo, ...]
    cell: CellExecution | None
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class MetricSeries:
    """Points of one metric of one run, in the order of their steps, as numpy arrays.

    ``steps`` and ``timestamps`` are int64, ``values`` float64.
    """

    run_id: str
    key: str
    steps: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RunTable:
    """Runs by columns: what a table or a frame of many runs is made of, without an object each.

    Every column is as long as ``run_ids``. A param or tag that a run does not have is None;
    of a metric it is the last value, NaN where there is none.
    """

    run_ids: list[str]
    info: Mapping[str, list[Any]]  # run_name, experiment_id, experiment_name, status, ...
    params: Mapping[str, list[str | None]]
    tags: Mapping[str, list[str | None]]
    metrics: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model. ``version`` counts from 1 and is never reused."""

    name: str
    version: int
    run_id: str | None
    run_name: str | None
    source: str
    creation_timestamp: int
    user_id: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    current_stage: str = "None"
    status: str = "READY"
    run_link: str = ""
    model_id: str | None = None
    last_updated_timestamp: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name under which versions of a model are kept, newest version first."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    versions: tuple[ModelVersion, ...] = ()
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
