"""What an integration is, the table of them, and how they are switched on and off.

An integration translates what one library does into the verbs of a run, `TrackedRun`. It is a
module with a function ``install(module, patches)``, which is called with each of the library's
modules named in the table as soon as the user has imported it; nbtrack imports none itself.

Adding a library: ``autologging/<library>.py``, one row in `TABLE`, one smallest fit for the tests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Protocol

from nbtrack.autologging import scope, tally
from nbtrack.autologging.options import is_silent
from nbtrack.autologging.patching import ImportWatcher, Patches
from nbtrack.errors import InvalidParameterError

if TYPE_CHECKING:
    from nbtrack.media import Plot
    from nbtrack.models import Interface, Snapshot


class TrackedRun(Protocol):
    """The verbs of a run, as far as integrations use them."""

    @property
    def run_id(self) -> str:
        """Identifies the run."""

    def log_params(self, params: Mapping[str, object], highlights: Iterable[str] = ()) -> None:
        """Keep parameters; their values become text at once. `highlights` were chosen by hand."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep one point of each metric; allowed after `end`, too."""

    def log_history(
        self,
        key: str,
        values: Sequence[float],
        steps: Sequence[int] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> None:
        """Keep many points of one metric; steps count from 0, timestamps are now by default."""

    def log_plot(self, plot: Plot) -> None:
        """Keep a small table to be drawn, as ``plots/<name>.json``."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""

    def log_input(self, data: object, name: str, context: str) -> None:
        """Describe data at once, without changing or iterating it, and keep no reference."""

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
        """Keep the model as it is now, with what it takes and gives; register it, soon."""

    def log_state(
        self,
        snapshot: Snapshot,
        artifact_path: str = "model",
        *,
        registered_model_name: str | None = None,
    ) -> object:
        """Keep a model that is bytes already; one with the same path takes its place."""

    def look_for_twin(self) -> None:
        """Have it told, later, if an earlier run has the same data, params and code."""

    def resume(self) -> None:
        """Go on with a run that has ended."""

    def end(self, status: str, error: str | None = None) -> None:
        """End the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""


class Tracker(Protocol):
    """Where runs come from."""

    def begin_run(
        self,
        name_hint: str,
        *,
        parent: TrackedRun | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> TrackedRun:
        """Begin a run with its first tags, perhaps as a part of another one; may raise."""

    def active_run(self) -> TrackedRun | None:
        """Return the run that the user has started, if any: calls are logged into it."""

    def warn(self, message: str) -> None:
        """Show one warning per distinct message; never raises."""


@dataclass(frozen=True)
class Integration:
    """One row of the table.

    Parameters
    ----------
    name
        What users call it.
    package
        Top-level package; its ``__version__`` is compared.
    since, below
        The first version that is supported, and the first one that is not known any more.
    modules
        The package's modules that are patched.
    implementation
        Our module with ``install(module, patches)``, and ``forget()`` if it remembers objects.
    title
        What the library is called in a sentence; empty for one that makes no runs of its own.
    needs
        Integrations that have to be on with it.
    """

    name: str
    package: str
    since: str
    below: str
    modules: tuple[str, ...]
    implementation: str
    title: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """State of an integration.

    Parameters
    ----------
    reason
        Why it is off; empty when it is on.
    logged
        How many runs, models ... were logged since the process began.
    skipped
        How often something was left out, by reason.
    """

    name: str
    installed: bool
    version: str | None
    reason: str
    logged: Mapping[str, int]
    skipped: Mapping[str, int]


TABLE = (
    Integration("joblib", "joblib", "1.2", "2", ("joblib.parallel",), "nbtrack.autologging.joblib"),
    Integration(
        "sklearn",
        "sklearn",
        "1.4",
        "2",
        (
            "sklearn.base",
            "sklearn.metrics",
            "sklearn.model_selection",
            "sklearn.calibration",
            "sklearn.inspection",
            "imblearn.metrics",
        ),
        "nbtrack.autologging.sklearn",
        "scikit-learn",
        ("joblib",),
    ),
    Integration(
        "xgboost",
        "xgboost",
        "2.0",
        "4",
        ("xgboost",),
        "nbtrack.autologging.xgboost",
        "XGBoost",
        ("sklearn",),
    ),
    Integration(
        "lightgbm",
        "lightgbm",
        "4.0",
        "5",
        ("lightgbm",),
        "nbtrack.autologging.lightgbm",
        "LightGBM",
        ("sklearn",),
    ),
    Integration(
        "catboost",
        "catboost",
        "1.2",
        "2",
        ("catboost",),
        "nbtrack.autologging.catboost",
        "CatBoost",
        ("sklearn",),
    ),
    Integration(
        "torch", "torch", "2.6", "3", ("torch",), "nbtrack.autologging.torch", "PyTorch loops"
    ),
)


_AS_MLFLOW = {"pytorch": "torch"}


class _State:
    """What is switched on in this process."""

    tracker: Tracker | None = None
    watcher = ImportWatcher()
    patches: dict[str, Patches] = {}  # noqa: RUF012  # the process has one state
    failed: dict[str, str] = {}  # noqa: RUF012
    asked: set[str] = set()  # noqa: RUF012  # the others are on because these need them


def current_tracker(library: str | None = None) -> Tracker | None:
    """Return the tracker that was given to `enable`, or None while nothing is to be logged.

    Parameters
    ----------
    library
        Who asks: where its option ``silent`` is on, the tracker says nothing.
    """
    tracker = _State.tracker if scope.is_on() else None
    if tracker is None or library is None or not is_silent(library):
        return tracker
    return _Silent(tracker)


def is_asked(library: str) -> bool:
    """Whether a library was switched on for itself, and not only because another one needs it."""
    return library in _State.asked


def _tell_fault(error: Exception) -> None:
    with suppress(Exception):  # nobody is left to be told
        if _State.tracker is not None:
            kind = type(error).__name__
            _State.tracker.warn(f"nbtrack could not record a call as a whole: {kind}: {error}")


class _Silent:
    """A tracker whose warnings nobody sees."""

    def __init__(self, tracker: Tracker) -> None:
        self.begin_run = tracker.begin_run
        self.active_run = tracker.active_run

    def warn(self, message: str) -> None:
        """Say nothing."""


def find(names: Iterable[str]) -> list[Integration]:
    """Return the rows of some integrations, by our names or MLflow's.

    Raises
    ------
    InvalidParameterError
        There is none of that name.
    """
    table = {row.name: row for row in TABLE}
    wanted = [_AS_MLFLOW.get(name, name) for name in names]
    for name in wanted:
        if name not in table:
            raise InvalidParameterError(
                f"There is no integration {name!r}.", hint=f"There are: {', '.join(table)}."
            )
    return [table[name] for name in wanted]


def enable(tracker: Tracker, *names: str, loud: bool = True) -> None:
    """Log what the supported libraries do, from now on.

    A library that is not imported yet is patched when it is. Enabling again replaces the tracker
    and patches nothing twice.

    Parameters
    ----------
    tracker
        Where runs come from.
    names
        Integrations to switch on; all of them by default. Why one stays off is in `status`.
    loud
        Say it aloud, too, of those asked for by name.

    Raises
    ------
    InvalidParameterError
        There is no integration of that name.

    Examples
    --------
    >>> from nbtrack.autologging import disable, enable, status
    >>> from nbtrack.testing.fakes import FakeTracker
    >>> enable(FakeTracker(), "joblib")
    >>> status()["sklearn"].reason
    'not enabled'
    >>> disable()
    """
    asked = find(names)
    rows = asked or list(TABLE)
    needed = _needed(rows)
    _State.tracker = tracker
    scope.on_fault[:] = [_tell_fault]
    scope.switch(True)
    _State.watcher.install()
    _State.asked.update(row.name for row in rows)
    for row in dict.fromkeys([*needed, *rows]):
        if row.name not in _State.patches:
            _State.patches[row.name] = Patches()
            for module in row.modules:
                _State.watcher.watch(module, partial(_install, row))
        if loud and row in asked and (reason := _State.failed.get(row.name)):
            tracker.warn(reason)


def _needed(rows: Iterable[Integration]) -> list[Integration]:
    """Return what some integrations need, and what that needs, the latter first."""
    found = find(name for row in rows for name in row.needs)
    return [*_needed(found), *found] if found else []


def disable(*names: str) -> None:
    """Put everything back as it was before `enable`, and forget all runs, models and arrays.

    Parameters
    ----------
    names
        Integrations to switch off; all of them by default.

    Raises
    ------
    InvalidParameterError
        There is no integration of that name.
    """
    rows = find(names) or list(TABLE)
    for row in reversed(rows):
        _State.patches.pop(row.name, Patches()).restore()
        _State.failed.pop(row.name, None)
        _State.asked.discard(row.name)
        _State.watcher.forget(row.modules)
        if forget := getattr(sys.modules.get(row.implementation), "forget", None):
            forget()
    if not any(row.title and row.name in _State.asked for row in TABLE):
        scope.switch(False)
        _State.tracker = None
        _State.watcher.restore()
        for patches in _State.patches.values():
            patches.restore()
        _State.patches.clear()
        _State.asked.clear()


def status() -> dict[str, Status]:
    """Return the state of every integration by name."""
    return {row.name: _status(row) for row in TABLE}


def implementation(row: Integration) -> ModuleType:
    """Return our module for a library."""
    return import_module(row.implementation)


def _status(row: Integration) -> Status:
    version = _version(row)
    if row.name not in _State.patches or (row.title and row.name not in _State.asked):
        reason = "not enabled"
    elif row.name in _State.failed:
        reason = _State.failed[row.name]
    elif version is None:
        reason = f"{row.package} is not imported yet"
    else:
        reason = ""
    return Status(row.name, not reason, version, reason, *tally.counts(row.name))


def _version(row: Integration) -> str | None:
    package = sys.modules.get(row.package)
    return None if package is None else str(getattr(package, "__version__", "unknown"))


def _release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 1.4.dev0 is taken for 1.4."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _install(row: Integration, module: ModuleType) -> None:
    """Patch one module. Runs inside the user's import, which it must not break."""
    version = _version(row) or "unknown"
    if row.name in _State.failed:
        return
    if not _release(row.since) <= _release(version) < _release(row.below):
        _State.failed[row.name] = (
            f"{row.name} {version} is not autologged: nbtrack knows {row.since} and newer, "
            f"below {row.below}."
        )
        return
    patches = _State.patches[row.name]
    try:
        implementation(row).install(module, patches)
    except Exception as error:  # noqa: BLE001  # the library works without us
        patches.restore()
        _State.failed[row.name] = (
            f"{row.name} {version} is not autologged: {type(error).__name__}: {error}"
        )
        if _State.tracker is not None:
            _State.tracker.warn(_State.failed[row.name])
