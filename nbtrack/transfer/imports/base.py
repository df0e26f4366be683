"""What an archive of another tool looks like to whoever stores it.

A reader of a kind of archive says what is there, in nbtrack's words, a run at a time; storing it,
once and in bounded memory, is the same for all kinds: `nbtrack.transfer.imports.write`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from nbtrack.types import DatasetInput, LifecycleStage, Metric, ModelInfo, RunStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader may be told besides where the archive is.

    Parameters
    ----------
    artifacts_destination
        Folder, or address of fsspec, where an MLflow server kept what it served as
        ``mlflow-artifacts:``.
    experiment_name
        The experiment that runs go into where the archive knows no experiments; of one that does,
        the only experiment that is brought.
    """

    artifacts_destination: str | Path | None = None
    experiment_name: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignExperiment:
    """An experiment; ``experiment_id`` is kept where that number is free."""

    name: str
    experiment_id: str | None = None
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    creation_time: int = 0
    last_update_time: int = 0
    artifact_location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file of a run: where it goes among the artifacts, and how it is read.

    ``open`` may be called later, and in another thread.
    """

    path: str
    open: Callable[[], BinaryIO]
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ForeignSeries:
    """Some points of a metric, in the order in which they came, as columns.

    ``steps`` and ``timestamps`` are int64, ``values`` float64. A long metric may come in parts.
    """

    key: str
    steps: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model that a run used or made: ``role`` is input or output."""

    model_id: str
    role: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """A run, whole.

    Parameters
    ----------
    run_id
        32 hex digits. An archive that has none must give the same one whenever it is read.
    experiment
        Name of its experiment.
    model_times
        When each of the models was changed last, by its id.
    series, files
        Called when the run is stored; they yield what is long a part at a time.
    linked
        Points that belong to a model or a dataset; looked at when `series` was read to its end.
    """

    run_id: str
    run_name: str
    experiment: str
    status: RunStatus
    start_time: int
    end_time: int | None = None
    user_id: str = ""
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    deleted_time: int | None = None
    parent_run_id: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[DatasetInput] = ()
    models: Sequence[ModelInfo] = ()
    model_times: Mapping[str, int] = field(default_factory=dict)
    model_uses: Sequence[ModelUse] = ()
    linked: Sequence[Metric] = ()
    series: Callable[[], Iterator[ForeignSeries]] = lambda: iter(())
    files: Callable[[], Iterator[ForeignFile]] = lambda: iter(())


@dataclass(frozen=True, slots=True)
class ForeignVersion:
    """A version of a registered model."""

    version: int
    source: str
    creation_timestamp: int
    last_updated_timestamp: int | None = None
    run_id: str | None = None
    model_id: str | None = None
    user_id: str = ""
    description: str = ""
    current_stage: str = "None"
    status: str = "READY"
    run_link: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A registered model with its versions; ``aliases`` are versions by alias."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    versions: Sequence[ForeignVersion] = ()


class Archive(Protocol):
    """What another tool wrote, as it is read."""

    label: str
    """What it is, in a sentence: ``the MLflow folder /data/mlruns``."""

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield the experiments."""

    def run_count(self) -> int:
        """Return how many runs there are, for a progress bar."""

    def runs(self) -> Iterator[ForeignRun]:
        """Yield the runs, one at a time; what cannot be read is told in `problems`."""

    def registered_models(self) -> Iterator[ForeignModel]:
        """Yield the registered models; called after the runs."""

    problems: list[str]
    """Sentences: what could not be read, and why. It grows while the archive is read."""

    def close(self) -> None:
        """Let go of what is open."""
