"""Stand-ins that record what they are told, for tests of integrations.

Examples
--------
>>> from nbtrack.testing.fakes import FakeTracker
>>> tracker = FakeTracker()
>>> run = tracker.begin_run("KMeans")
>>> run.log_params({"n_clusters": 3})
>>> run.end("FINISHED")
>>> tracker.runs[0].params, tracker.runs[0].status
({'n_clusters': '3'}, 'FINISHED')
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtrack.autologging import TrackedRun
    from nbtrack.media import Plot
    from nbtrack.models import Interface, Snapshot


class FakeRun:
    """A run that keeps what it is told in plain attributes, and no object of the caller's.

    Parameters
    ----------
    run_id, name
        Identity of the run.
    failing
        Names of the verbs that raise instead.
    parent
        The run that it is a part of.
    """

    def __init__(
        self,
        run_id: str,
        name: str,
        failing: Collection[str] = (),
        parent: FakeRun | None = None,
    ) -> None:
        self.run_id = run_id
        self.parent = parent
        self.name = name
        self.failing = failing
        self.thread = threading.get_ident()
        self.params: dict[str, str] = {}
        self.highlights: list[str] = []
        self.metrics: dict[str, list[tuple[int, float]]] = {}
        self.tags: dict[str, str] = {}
        self.inputs: list[tuple[str, str, str]] = []  # name, context, type
        self.models: list[tuple[str, str, bytes]] = []  # class, flavor, pickle
        self.interfaces: dict[str, Interface | None] = {}
        self.registered: dict[str, str | None] = {}
        self.states: dict[str, Snapshot] = {}
        self.plots: dict[str, dict[str, Any]] = {}
        self.status: str | None = None
        self.error: str | None = None

    def __repr__(self) -> str:
        return f"<FakeRun {self.run_id} {self.name!r} {self.status}>"

    def last(self, key: str) -> float:
        """Return the last value of a metric."""
        return self.metrics[key][-1][1]

    def log_params(self, params: Mapping[str, object], highlights: Iterable[str] = ()) -> None:
        """Keep parameters as text."""
        self._fail("log_params")
        self.params.update({key: str(value) for key, value in params.items()})
        self.highlights.extend(highlights)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep a point of each metric as ``(step, value)``."""
        self._fail("log_metrics")
        for key, value in metrics.items():
            self.metrics.setdefault(key, []).append((step, value))

    def log_history(
        self,
        key: str,
        values: Sequence[float],
        steps: Sequence[int] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> None:
        """Keep many points of a metric; their times are not kept."""
        self._fail("log_history")
        places = range(len(values)) if steps is None else steps
        points = [(int(s), float(v)) for s, v in zip(places, values, strict=True)]
        self.metrics.setdefault(key, []).extend(points)

    def log_plot(self, plot: Plot) -> None:
        """Keep the table as it is stored, by name."""
        self._fail("log_plot")
        self.plots[plot.name] = json.loads(plot.encode())

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Keep tags."""
        self._fail("set_tags")
        self.tags.update(tags)

    def log_input(self, data: object, name: str, context: str) -> None:
        """Keep name, context and type."""
        self._fail("log_input")
        self.inputs.append((name, context, type(data).__name__))

    def log_model(
        self,
        model: object,
        flavor: str,
        artifact_path: str = "model",
        *,
        interface: Interface | None = None,
        registered_model_name: str | None = None,
        **options: object,
    ) -> None:
        """Keep class, flavor and pickle, and by path what it takes and is registered as."""
        import cloudpickle

        self._fail("log_model")
        self.interfaces[artifact_path] = interface
        self.registered[artifact_path] = registered_model_name
        self.models.append((type(model).__name__, flavor, cloudpickle.dumps(model)))

    def log_state(
        self,
        snapshot: Snapshot,
        artifact_path: str = "model",
        *,
        registered_model_name: str | None = None,
    ) -> None:
        """Keep the snapshot, by path."""
        self._fail("log_state")
        self.registered[artifact_path] = registered_model_name
        self.states[artifact_path] = snapshot

    def look_for_twin(self) -> None:
        """Look for nothing."""
        self._fail("look_for_twin")

    def resume(self) -> None:
        """Be running again."""
        self._fail("resume")
        self.status, self.error = None, None

    def end(self, status: str, error: str | None = None) -> None:
        """Keep how the run ended."""
        self._fail("end")
        if self.status is not None:
            raise RuntimeError(f"{self!r} was ended twice.")
        self.status, self.error = status, error

    def _fail(self, verb: str) -> None:
        if verb in self.failing:
            raise RuntimeError(f"{verb} fails")


class FakeTracker:
    """A tracker that keeps its runs and warnings in lists.

    Parameters
    ----------
    failing
        Names of the verbs, of the tracker and of its runs, that raise instead.

    Attributes
    ----------
    active
        What `active_run` returns; set it to act as a user who has started a run.
    """

    def __init__(self, failing: Collection[str] = ()) -> None:
        self.failing = failing
        self.runs: list[FakeRun] = []
        self.warnings: list[str] = []
        self.active: FakeRun | None = None
        self._ids = itertools.count()

    def begin_run(
        self,
        name_hint: str,
        *,
        parent: TrackedRun | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> FakeRun:
        """Begin a run and keep it."""
        self._fail("begin_run")
        owner = parent if isinstance(parent, FakeRun) else None
        run = FakeRun(f"{next(self._ids):032x}", name_hint, self.failing, owner)
        run.tags.update(tags)
        self.runs.append(run)
        return run

    def active_run(self) -> FakeRun | None:
        """Return the run set as `active`."""
        self._fail("active_run")
        return self.active

    def warn(self, message: str) -> None:
        """Keep a message once."""
        self._fail("warn")
        if message not in self.warnings:
            self.warnings.append(message)

    def _fail(self, verb: str) -> None:
        if verb in self.failing:
            raise RuntimeError(f"{verb} fails")
