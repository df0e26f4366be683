"""The words of the field as plain values: what the store returns and the API hands out.

Times are whole milliseconds since 1970-01-01 UTC, as MLflow has them; a name says so by ``_ms``
or is one of MLflow's own (``start_time``, ``end_time``, ``timestamp``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RunStatus(StrEnum):
    """State of a run."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class LifecycleStage(StrEnum):
    """Whether a run or an experiment is in the trash."""

    ACTIVE = "active"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Metric:
    """One point of a metric."""

    key: str
    value: float
    timestamp: int
    step: int


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
        Where it came from: JSON text as MLflow has it, or a URI; empty where nobody said.
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
    context: str


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
    """A model that a run logged: where its directory lies among the run's artifacts."""

    model_id: str
    run_id: str
    artifact_path: str
    flavor: str
    model_class: str
    size_bytes: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """A file among the artifacts of a run."""

    path: str
    digest: str
    size_bytes: int


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


@dataclass(frozen=True, slots=True)
class RunData:
    """Params, tags and the last value of each metric of a run."""

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    summaries: Mapping[str, MetricSummary] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is stored: ``run.info``, ``run.data``, as in MLflow."""

    info: RunInfo
    data: RunData
    models: tuple[ModelInfo, ...] = ()
    execution_count: int | None = None
    notebook: str | None = None


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with what is too long for a table: its data, its cell, its environment."""

    run: Run
    inputs: tuple[DatasetInput, ...]
    artifacts: tuple[ArtifactInfo, ...]
    cell: CellExecution | None
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """Points of one metric of one run, in the order of their steps."""

    run_id: str
    key: str
    steps: list[int]
    timestamps: list[int]
    values: list[float]


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


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name under which versions of a model are kept, newest version first."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    versions: tuple[ModelVersion, ...] = ()
