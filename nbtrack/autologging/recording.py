"""Writing down an outermost call, whatever happens to the call, to the tracker or to us."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nbtrack.autologging import interface, tally
from nbtrack.autologging.integration import TrackedRun, Tracker
from nbtrack.autologging.options import options

if TYPE_CHECKING:
    from nbtrack.models import Interface

P = ParamSpec("P")
T = TypeVar("T")
_HERE = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120  # as frames have it


def attempt(
    tracker: Tracker, what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T | None:
    """Call a function of ours; what goes wrong becomes a warning, and the result None.

    An interrupt is the user's and comes out.
    """
    try:
        return function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  # tracking never breaks the user's call
        warn(tracker, f"nbtrack could not {what}: {describe(error)}")
    return None


def warn(tracker: Tracker, message: str) -> None:
    """Show `message` through the tracker."""
    with suppress(Exception):  # nobody is left to be told
        tracker.warn(message)


def describe(error: BaseException) -> str:
    """Return type and message of an error, even of one that cannot say its message."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # an error with a broken __str__ still has a type
        return type(error).__name__


def format_error(error: BaseException, caller: FrameType | None = None) -> str:
    """Return the traceback of `error` as Python prints it, without frames of this package.

    Parameters
    ----------
    error
        The error as it was caught.
    caller
        Frame of the user's call, which the error has not reached yet: it is shown first.
    """
    report = traceback.TracebackException.from_exception(error)
    if caller is not None:
        report.stack.insert(0, traceback.extract_stack(caller, limit=1)[0])
    chain: list[traceback.TracebackException | None] = [report]
    while chain:
        if (part := chain.pop()) is not None:
            part.stack[:] = [line for line in part.stack if not line.filename.startswith(_HERE)]
            chain += [part.__cause__, part.__context__]
    return "".join(report.format())


class Recording:
    """The run of one outermost call: the user's own active run, or a new one.

    Parameters
    ----------
    tracker
        Where runs are begun. Whatever it raises becomes one warning.
    library
        Whose call it is: its options count.
    parent
        The run that this one is a part of; there is no look at the active run then.

    Attributes
    ----------
    options
        The options of the library when the call began.
    run
        The run, once it has begun.
    ours
        Whether it was begun here, so that it has to be ended here.
    """

    def __init__(self, tracker: Tracker, library: str, *, parent: TrackedRun | None = None) -> None:
        self.tracker = tracker
        self.library = library
        self.options = options(library)
        self.run: TrackedRun | None = None
        self._parent = parent
        self._interface: Interface | None = None
        self.ours = False

    def begin(self, name_hint: str, tags: Mapping[str, str] = MappingProxyType({})) -> None:
        """Take up the active run, or begin one, and set `tags`."""
        if self._parent is None and not self.options.exclusive:
            self.run = self.attempt("look for an active run", self.tracker.active_run)
        if self.run is None:
            begin_run, parent = self.tracker.begin_run, self._parent
            tags = {"mlflow.autologging": self.library, **self.options.extra_tags, **tags}
            self.run = self.attempt("begin a run", begin_run, name_hint, parent=parent, tags=tags)
            if self.run is not None:
                self.ours = True
                tally.logged(self.library, "runs")
        elif tags:
            self.attempt("set the tags", self.run.set_tags, tags)

    def log_input(self, data: object, name: str, context: str) -> None:
        """Describe data, if the options have it so; what is fitted tells of the model, too."""
        chosen = self.options
        signature, example = chosen.log_model_signatures, chosen.log_input_examples
        if context == "train" and chosen.log_models and (signature or example):
            what = "look at the first rows of the data"
            self._interface = self.attempt(
                what, interface.of_data, data, signature=signature, example=example
            )
        if not self.options.log_datasets:
            tally.skipped(self.library, "data: log_datasets is off")
        elif self.run is not None:
            self.attempt("describe the data", self.run.log_input, data, name, context)

    def log_model(self, model: object, flavor: str, **how: object) -> None:
        """Keep the model as it is now, if the options have it so; `how` is for the flavor."""
        if not self.options.log_models:
            tally.skipped(self.library, "model: log_models is off")
        elif self.run is not None:
            self.attempt("log the model", self._log_model, self.run, model, flavor, how)

    def _log_model(
        self, run: TrackedRun, model: object, flavor: str, how: Mapping[str, Any]
    ) -> None:
        taken = self._interface
        run.log_model(
            model,
            flavor,
            interface=None if taken is None else interface.with_outputs(taken, model),
            registered_model_name=self.options.registered_model_name,
            **how,
        )
        tally.logged(self.library, "models")

    def notice(self, kind: str, text: str) -> None:
        """Tell people something about the run: a tag that its card shows."""
        if self.run is not None and not self.options.silent:
            self.attempt("note", self.run.set_tags, {f"nbtrack.notice.{kind}": text})

    def attempt(
        self, what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Call a function of ours; what goes wrong is counted, too. See `attempt`."""

        def counted() -> T:
            try:
                return function(*args, **kwargs)
            except Exception:
                tally.skipped(self.library, f"could not {what}")
                raise

        return attempt(self.tracker, what, counted)

    def go_on(self, run: TrackedRun, *, ours: bool) -> None:
        """Take up a run of an earlier call; one of ours is running again."""
        self.run, self.ours = run, ours
        if ours:
            self.attempt("go on with the run", run.resume)

    def finish(self, write: Callable[[TrackedRun], None], status: str = "FINISHED") -> None:
        """End the run after a call that went well, once `write` has written down its results."""
        if self.run is None:
            return
        end = "KILLED"  # an interrupt while we are writing
        try:
            self.attempt("write down the results", write, self.run)
            end = status
        finally:
            self._end(end)
        if self.ours and self._parent is None:
            self.attempt("look for an identical run", self.run.look_for_twin)

    def fail(self, error: BaseException, caller: FrameType | None = None) -> None:
        """End the run after a call that raised."""
        if self.run is not None and self.ours:
            text = self.attempt("describe the error", format_error, error, caller)
            self._end("FAILED" if isinstance(error, Exception) else "KILLED", text)

    def _end(self, status: str, error: str | None = None) -> None:
        if self.run is not None and self.ours:
            self.attempt("end the run", self.run.end, status, error)
