"""Which trainings there are: how they begin, what belongs to which, and when they end."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from itertools import takewhile
from types import FrameType
from typing import Any

from nbtrack import exits
from nbtrack.autologging import scope, tally
from nbtrack.autologging.integration import Tracker, current_tracker
from nbtrack.autologging.options import options
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.torch import epochs, frames, models, source
from nbtrack.autologging.torch.source import site_of
from nbtrack.autologging.torch.steppers import Call, Place, Stepper
from nbtrack.autologging.torch.training import Training
from nbtrack.autologging.torch.values import Number, torch
from nbtrack.provenance import cells

LIBRARY = "torch"
_OFF = "switched off"

steppers: dict[int, Stepper] = {}
"""By id of the optimizer, while it lives."""

trainings: list[Training] = []
"""Those that have not ended."""

_left_out: dict[int, tuple[weakref.ref[Any], str]] = {}


class Here:
    """What a thread is at."""

    __slots__ = ("loader", "look_in", "losses", "shares", "training")

    def __init__(self) -> None:
        self.losses: list[tuple[str, Number]] = []  # since the last step
        self.shares: set[str] = set()  # losses that were divided by the batches of a step
        self.training: Training | None = None  # that stepped last
        self.look_in = 0  # backward passes until the next look at a function's variables
        self.loader: weakref.ref[Any] | None = None  # that began last, with gradients on


class _Thread(threading.local):
    def __init__(self) -> None:
        self.here = Here()


thread = _Thread()


def go_on(stepper: Stepper, optimizer: Any) -> Stepper | None:
    """Go on with a training; begin another one, if the user has another run by now."""
    tracker, training = current_tracker(LIBRARY), stepper.training
    if not scope.is_idle():
        return None
    active = None
    if tracker is not None and not options(LIBRARY).exclusive:
        active = tracker.active_run()
    if active is not training.run and (active is not None or training.is_users):
        _end([training], None)
        steppers.pop(id(optimizer), None)
        return first_step(optimizer)
    if training.ended:
        training.resume()
        trainings.append(training)
        _find_epochs(training, optimizer, list(frames.chain(sys._getframe(1))))
    return stepper


def first_step(optimizer: Any) -> Stepper | None:
    """Find or begin the training that the step of a new optimizer is a part of."""
    tracker, here = current_tracker(LIBRARY), thread.here
    if tracker is None or not scope.is_idle() or _is_left_out(optimizer):
        return None
    if not here.losses and (here.training is None or here.training.ended):
        return None
    reason = _reason_to_leave_out(sys._getframe(1))
    if reason is not None:
        _leave_out(optimizer, reason)
        return None
    around = list(frames.chain(sys._getframe(1)))
    place = _place(around)
    training = _training_around(here, place)
    if training is None:
        training = _begin_anew(tracker, optimizer, around, {name for name, _ in here.losses})
        if training is None:
            _leave_out(optimizer, "no run could be begun")
            return None
    return _take_in(training, optimizer, around, place)


def _take_in(training: Training, optimizer: Any, around: list[FrameType], place: Place) -> Stepper:
    """Let an optimizer be a part of a training from now on."""
    name = models.name_of(optimizer, around) or "optimizer"
    stepper = training.add(optimizer, name, place, around)
    steppers[id(optimizer)] = stepper
    weakref.finalize(optimizer, _gone, id(optimizer), stepper).atexit = False
    if training.epochs is None and place:
        _find_epochs(training, optimizer, around)
    return stepper


def _leave_out(optimizer: Any, reason: str) -> None:
    tally.skipped(LIBRARY, reason)
    key = id(optimizer)
    _left_out[key] = weakref.ref(optimizer, lambda _: _left_out.pop(key, None)), reason


def _is_left_out(optimizer: Any) -> bool:
    reason = _left_out.get(id(optimizer), (None, ""))[1]
    return bool(reason) and (reason != _OFF or options(LIBRARY).disable)


def _reason_to_leave_out(frame: FrameType) -> str | None:
    if options(LIBRARY).disable:
        return _OFF
    if (trainer := frames.trainer_of(frame)) is not None:
        return f"trained by {trainer}"
    library = torch().distributed
    if library.is_available() and library.is_initialized() and library.get_rank() > 0:
        return "another process of the same training logs it"
    return None


def _training_around(here: Here, place: Place) -> Training | None:
    """Return the training of this thread that a new optimizer takes part in.

    It does if it steps with no loss of its own, or if both are stepped in turns (a GAN): there is
    a loop around both steps, and at most one of them has a further loop to itself.
    """
    last = here.training
    if last is not None and not last.ended and not here.losses:
        return last
    for training in reversed(trainings):
        places = [stepper.place for stepper in training.steppers]
        if (
            training.thread == threading.get_ident()
            and any(_in_turns(place, other) for other in places)
            and all(_same(place, other) < len(place) for other in places)  # a training anew
        ):
            return training
    return None


def _same(one: Place, other: Place) -> int:
    """Return how many calls two places share, from the outermost on."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _in_turns(one: Place, other: Place) -> bool:
    same = _same(one, other)
    shared = _loops(one[:same])
    if same < min(len(one), len(other)) and one[same].code == other[same].code:
        theirs = {loop.place for loop in other[same].site.loops}
        shared += sum(loop.place in theirs for loop in one[same].site.loops)
    return shared > 0 and min(_loops(one), _loops(other)) == shared


def _loops(place: Place) -> int:
    return sum(len(call.site.loops) for call in place)


def _begin_anew(
    tracker: Tracker, optimizer: Any, around: list[FrameType], losses: set[str]
) -> Training | None:
    found = models.find_models(optimizer, around)
    hint = next((type(m).__name__ for m in found.values()), type(optimizer).__name__)
    training = _begin(tracker, hint)
    if training is not None:
        _log_loader(training, around)
        attempt = training.recording.attempt
        made = [
            (frame, text)
            for frame in around
            for name in ("", *losses)
            for text in site_of(frame).made.get(name, ())
        ]
        text = attempt("find the loss function", models.loss_function, made, around)
        attempt("describe the loss function", training.describe_loss, text or "")
    return training


def _begin(tracker: Tracker, hint: str) -> Training | None:
    """Begin a training, in the user's run or one of its own; None if there can be none."""
    recording = Recording(tracker, LIBRARY)
    recording.begin(hint)
    if recording.run is None:
        return None
    training = Training(recording, recording.run)
    trainings.append(training)
    if _end_of_cell not in cells.on_end:
        cells.on_end.insert(0, _end_of_cell)  # before the cells are stored
    return training


def _log_loader(training: Training, around: list[FrameType]) -> None:
    reference = thread.here.loader
    loader = None if reference is None else reference()
    if loader is None:
        return
    if type(loader.batch_size) is int:
        training.batch_size = loader.batch_size
        training.log_params({"batch_size": loader.batch_size})
    name = models.outer_name_of(loader, around) or "loader"
    training.recording.log_input(loader.dataset, name, "train")


def _find_epochs(training: Training, optimizer: Any, around: list[FrameType]) -> None:
    calls = [(each, site_of(each)) for each in around]
    attempt = training.recording.attempt
    training.count_by(attempt("find the epochs", epochs.find, calls, optimizer))


def follow(tracker: Tracker, frame: FrameType, model: Any, optimizer: Any) -> Training | None:
    """Return the training of a model or an optimizer; begin one if there is none that goes on."""
    stepper = steppers.get(id(optimizer))
    if stepper is not None:
        stepper = go_on(stepper, optimizer)
    if stepper is not None:
        stepper.place = ()  # it is seen anew at the next step
    around = list(frames.chain(frame))
    training = None if stepper is None else stepper.training
    if training is None:
        own = models.unwrapped(model)
        going = (t for t in trainings if any(w.model is own for w in t.models))
        training = next(going, None) or _begin(tracker, type(own).__name__)
        if training is None:
            return None
        if all(watched.model is not own for watched in training.models):
            name = models.name_of(model, around) or "model"
            training.recording.attempt("describe the model", training.add_model, name, own)
        if optimizer is not None:
            _take_in(training, optimizer, around, ())
    thread.here.training = training
    return training


def locate(stepper: Stepper, optimizer: Any) -> None:
    """See where an optimizer steps that was watched before it did."""
    around = list(frames.chain(sys._getframe(1)))
    stepper.place = _place(around)
    if stepper.training.epochs is None:
        _find_epochs(stepper.training, optimizer, around)


def _place(around: list[FrameType]) -> Place:
    return tuple(Call(id(each.f_code), each.f_lasti, site_of(each)) for each in reversed(around))


# --- the end ------------------------------------------------------------------------------------


def _gone(key: int, stepper: Stepper) -> None:
    """Note that an optimizer is no more."""
    steppers.pop(key, None)
    training = stepper.training
    training.leave(stepper)
    if training.ended and training in trainings:
        trainings.remove(training)


def _end(some: list[Training], error: BaseException | None) -> None:
    for training in some:
        if training in trainings:
            trainings.remove(training)
        training.end(error)


def end(error: BaseException | None = None) -> None:
    """End the trainings of this thread, and of threads that are no more.

    Parameters
    ----------
    error
        What has ended them.
    """
    others = {each.ident for each in threading.enumerate()} - {threading.get_ident()}
    _end([training for training in trainings if training.thread not in others], error)
    here = thread.here
    here.losses.clear()
    here.training = None


def _end_of_cell() -> None:
    """End the trainings of the notebook's own thread: its cell has ended."""
    outcome = cells.executions[-1].outcome if cells.executions else None
    error: BaseException | None = None
    if outcome == "interrupted":
        error = KeyboardInterrupt()
    elif outcome == "error":
        error = getattr(sys, "last_value", None) or RuntimeError("The cell failed.")
    end(error)


def _end_all() -> None:
    """End all trainings when the process does."""
    error = getattr(sys, "last_value", None)
    if hasattr(sys, "ps1") or "IPython" in sys.modules:
        error = None  # the last one of many, and long dealt with
    _end(list(trainings), error)


def forget() -> None:
    """End all trainings, and forget all that is known of the user's objects and sources."""
    _end(list(trainings), None)
    if _end_of_cell in cells.on_end:
        cells.on_end.remove(_end_of_cell)
    steppers.clear()
    _left_out.clear()
    thread.here = Here()
    frames.forget()
    source.forget()


def _leave_to_parent() -> None:
    """In the child of a fork: let go of the trainings, which are the parent's."""
    steppers.clear()
    trainings.clear()
    thread.here = Here()


exits.register(exits.Step.TRAININGS, _end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
