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
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from nbtrack.autologging import scope
from nbtrack.autologging.patching import ImportWatcher, Patches
from nbtrack.errors import InvalidParameterError

if TYPE_CHECKING:
    from nbtrack.media import Plot
    from nbtrack.models import Snapshot


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

    def log_model(self, model: object, flavor: str) -> None:
        """Keep the model as it is now."""

    def log_state(self, snapshot: Snapshot, artifact_path: str = "model") -> None:
        """Keep a model that is bytes already; one with the same path takes its place."""

    def end(self, status: str, error: str | None = None) -> None:
        """End the run as ``FINISHED``, ``FAILED`` or ``KILLED``."""

    def resume(self) -> None:
        """Go on with a run that has ended: it is RUNNING again."""


class Tracker(Protocol):
    """Where runs come from."""

    def begin_run(self, name_hint: str, *, parent: TrackedRun | None = None) -> TrackedRun:
        """Begin a run, perhaps as a part of another one; may raise."""

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
    since
        The first version that is supported.
    modules
        The package's modules that are patched.
    implementation
        Our module with ``install(module, patches)``, and ``forget()`` if it remembers objects.
    """

    name: str
    package: str
    since: str
    modules: tuple[str, ...]
    implementation: str


@dataclass(frozen=True)
class Status:
    """State of an integration: `reason` says why it is off, and is empty when it is on."""

    name: str
    installed: bool
    version: str | None
    reason: str


TABLE = (
    Integration("joblib", "joblib", "1.2", ("joblib.parallel",), "nbtrack.autologging.joblib"),
    Integration(
        "sklearn",
        "sklearn",
        "1.4",
        ("sklearn.base", "sklearn.metrics", "sklearn.model_selection"),
        "nbtrack.autologging.sklearn",
    ),
    Integration("torch", "torch", "2.6", ("torch",), "nbtrack.autologging.torch"),
)


class _State:
    """What is switched on in this process."""

    tracker: Tracker | None = None
    watcher = ImportWatcher()
    patches: dict[str, Patches] = {}  # noqa: RUF012  # the process has one state
    failed: dict[str, str] = {}  # noqa: RUF012


def current_tracker() -> Tracker | None:
    """Return the tracker that was given to `enable`, or None while autologging is off."""
    return _State.tracker


def enable(tracker: Tracker, *names: str) -> None:
    """Log what the supported libraries do, from now on.

    A library that is not imported yet is patched when it is. Enabling again replaces the tracker
    and patches nothing twice.

    Parameters
    ----------
    tracker
        Where runs come from.
    names
        Integrations to switch on; all of them by default. Why one stays off is in `status`, and
        is said aloud for those asked for by name.

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
    table = {row.name: row for row in TABLE}
    for name in names:
        if name not in table:
            raise InvalidParameterError(
                f"There is no integration {name!r}.", hint=f"There are: {', '.join(table)}."
            )
    _State.tracker = tracker
    scope.switch(True)
    _State.watcher.install()
    for name in names or table:
        if name not in _State.patches:
            _State.patches[name] = Patches()
            for module in table[name].modules:
                _State.watcher.watch(module, partial(_install, table[name]))
        if names and (reason := _State.failed.get(name)):
            tracker.warn(reason)


def disable() -> None:
    """Put everything back as it was before `enable`, and forget all runs, models and arrays."""
    scope.switch(False)
    _State.tracker = None
    _State.watcher.restore()
    for row in reversed(TABLE):
        _State.patches.pop(row.name, Patches()).restore()
        if forget := getattr(sys.modules.get(row.implementation), "forget", None):
            forget()
    _State.failed.clear()


def status() -> dict[str, Status]:
    """Return the state of every integration by name."""
    return {row.name: _status(row) for row in TABLE}


def _status(row: Integration) -> Status:
    version = _version(row)
    if row.name not in _State.patches:
        reason = "not enabled"
    elif row.name in _State.failed:
        reason = _State.failed[row.name]
    elif version is None:
        reason = f"{row.package} is not imported"
    else:
        reason = ""
    return Status(row.name, not reason, version, reason)


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
    if _release(version) < _release(row.since):
        _State.failed[row.name] = (
            f"{row.name} {version} is not autologged: nbtrack supports {row.since} and newer."
        )
        return
    patches = _State.patches[row.name]
    try:
        import_module(row.implementation).install(module, patches)
    except Exception as error:  # noqa: BLE001  # the library works without us
        patches.restore()
        _State.failed[row.name] = (
            f"{row.name} {version} is not autologged: {type(error).__name__}: {error}"
        )
        if _State.tracker is not None:
            _State.tracker.warn(_State.failed[row.name])
