"""What is called from inside torch: a backward pass, a step, a loss, the begin of a loader."""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections.abc import Callable
from itertools import takewhile
from types import FrameType, FunctionType
from typing import Any

from nbtrack.autologging import scope, tally
from nbtrack.autologging.integration import Tracker, current_tracker
from nbtrack.autologging.options import options
from nbtrack.autologging.recording import Recording, describe, warn
from nbtrack.autologging.torch import epochs, frames, models, source
from nbtrack.autologging.torch.frames import user_frame
from nbtrack.autologging.torch.source import Site, site_of, sites
from nbtrack.autologging.torch.training import Call, Place, Stepper, Training
from nbtrack.autologging.torch.values import Number, number, torch
from nbtrack.provenance import cells

LIBRARY = "torch"
_MAX_LOSSES = 4096  # of backward passes that no step follows
_LOOK_EVERY = 8  # backward passes between two looks at a function's variables, which cost 2 us


class _Here:
    """What a thread is at."""

    __slots__ = ("loader", "look_in", "losses", "training")

    def __init__(self) -> None:
        self.losses: list[tuple[str, Number]] = []  # since the last step
        self.training: Training | None = None  # that stepped last
        self.look_in = 0  # backward passes until the next look at a function's variables
        self.loader: weakref.ref[Any] | None = None  # that began last, with gradients on


class _Thread(threading.local):
    def __init__(self) -> None:
        self.here = _Here()


class _State:
    """What this process is at."""

    steppers: dict[int, Stepper] = {}  # noqa: RUF012  # by id of the optimizer, while it lives
    left_out: dict[int, weakref.ref[Any]] = {}  # noqa: RUF012
    trainings: list[Training] = []  # noqa: RUF012  # that have not ended
    at_exit = False


_thread = _Thread()
_getframe = sys._getframe


def _trouble(error: Exception) -> None:
    """Tell what went wrong: tracking never breaks the user's call."""
    tracker = current_tracker()
    if tracker is not None:
        warn(tracker, f"nbtrack could not follow a training loop: {describe(error)}")


# --- losses -------------------------------------------------------------------------------------


def backward_listener(method: FunctionType) -> Callable[[Any], None]:  # noqa: C901
    """Return what notes the loss of a backward pass.

    Parameters
    ----------
    method
        ``torch.Tensor.backward``, through which most of them come.
    """
    expected = method.__code__

    def on_backward(tensors: Any) -> None:
        # Every step of the user's comes by here, and finds the processor's caches full of torch:
        # each call that is made costs thrice what it costs alone.
        __tracebackhide__ = True
        try:
            here = _thread.here
            caller = _getframe(2)
            frame = caller.f_back
            if caller.f_code is not expected or frame is None:
                _note(here, tensors)
                return
            found = sites.get((id(frame.f_code), frame.f_lasti))
            if found is None or found[0].scalars:
                _note(here, tensors)
                return
            training = here.training
            if training is not None and (epochs := training.epochs) is not None:
                if epochs.space is None:
                    here.look_in -= 1
                    if here.look_in < 0:
                        here.look_in = 0 if training.look(frame) else _LOOK_EVERY
                elif epochs.space.get(epochs.counter) is not epochs.current:
                    training.look(frame)
            try:
                value = tensors.item() if tensors.is_cpu else number(tensors)
            except RuntimeError:  # it has more than one number, or none that is there
                value = None
            if value is not None:
                here.losses.append((found[0].name, value))
        except Exception as error:  # noqa: BLE001
            _trouble(error)

    return on_backward


def _note(here: _Here, tensors: Any) -> None:
    """Note a loss that is seen for the first time, or is called through others, or is composed."""
    frame = user_frame(_getframe(2))
    if frame is None:
        return
    if here.training is not None:
        here.training.look(frame)
    site = site_of(frame)
    if isinstance(tensors, list | tuple):
        tensors = tensors[0] if len(tensors) == 1 else None
    found = _scalars(frame, site)
    if len(found) != 1:
        found.setdefault(site.name, tensors)
    here.losses += [(name, value) for name, t in found.items() if (value := number(t)) is not None]
    if len(here.losses) > _MAX_LOSSES:
        del here.losses[: _MAX_LOSSES // 2]


def _scalars(frame: FrameType, site: Site) -> dict[str, Any]:
    """Return the losses in ``(loss / steps).backward()``: variables with one number each."""
    tensor = torch().Tensor
    return {
        name: value
        for name, value in frames.read(frame, site.scalars).items()
        if isinstance(value, tensor) and value.grad_fn is not None and value.numel() == 1
    }


def on_loss(value: Any, first: Any, reduction: Any) -> None:
    """Note a loss that is computed without gradients: that of a validation."""
    try:
        _validate(_thread.here, value, first, reduction)
    except Exception as error:  # noqa: BLE001
        _trouble(error)


def _validate(here: _Here, value: Any, first: Any, reduction: Any) -> None:
    training = here.training
    if training is None or training.ended or not scope.is_idle():
        return
    here.look_in = 0
    total = number(value)
    frame = user_frame(_getframe(2))
    if total is None or frame is None:
        return
    weight = int(first.shape[0]) if first.ndim else 1
    if reduction != "sum":
        total = total * weight
    training.validate(site_of(frame).target or "loss", total, weight)


def on_loader(loader: Any) -> None:
    """See whether the epoch before is over; remember where the batches come from."""
    try:
        here = _thread.here
        here.look_in = 0
        if torch().is_grad_enabled():
            here.loader = weakref.ref(loader)
        frame = user_frame(_getframe(1))
        if here.training is not None and here.training.epochs is not None and frame is not None:
            here.training.look(frame)
    except Exception as error:  # noqa: BLE001
        _trouble(error)


# --- steps --------------------------------------------------------------------------------------


def step_listener(
    is_compiling: Callable[[], bool],
) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], None]:
    """Return what notes that an optimizer has stepped: a global post hook of torch's optimizers.

    Parameters
    ----------
    is_compiling
        ``torch.compiler.is_compiling``: what is traced is left alone.
    """

    def on_step(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        __tracebackhide__ = True
        if is_compiling():
            return
        here = _thread.here
        losses = here.losses
        try:
            if not scope.is_idle():
                return
            stepper = _State.steppers.get(id(optimizer)) or _first_step(here, optimizer)
            if stepper is None:
                return
            training = stepper.training
            if training.ended or training.is_users:
                stepper = _go_on(here, stepper, optimizer)
                if stepper is None:
                    return
                training = stepper.training
            here.training = training
            if len(losses) > 1 and (len(args) > 1 or kwargs):
                # A closure: its first loss is that of the step, the others are a search.
                losses = list(dict(reversed(losses)).items())
            training.step(stepper, optimizer, losses)
        except Exception as error:  # noqa: BLE001
            _trouble(error)
        finally:
            here.losses.clear()

    return on_step


def _go_on(here: _Here, stepper: Stepper, optimizer: Any) -> Stepper | None:
    """Go on with a training; begin another one, if the user has another run by now."""
    tracker, training = current_tracker(), stepper.training
    active = None if tracker is None else tracker.active_run()
    if active is not training.run and (active is not None or training.is_users):
        _end([training], None)
        _State.steppers.pop(id(optimizer), None)
        return _first_step(here, optimizer)
    if training.ended:
        training.resume()
        _State.trainings.append(training)
        _find_epochs(training, optimizer, list(frames.chain(_getframe(2))))
    return stepper


def _first_step(here: _Here, optimizer: Any) -> Stepper | None:
    """Find or begin the training that the step of a new optimizer is a part of."""
    tracker = current_tracker()
    if tracker is None or id(optimizer) in _State.left_out:
        return None
    if not here.losses and (here.training is None or here.training.ended):
        return None
    frame = _getframe(2)
    reason = _reason_to_leave_out(frame)
    if reason is not None:
        tally.skipped(LIBRARY, reason)
        _leave_out(optimizer)
        return None
    around = list(frames.chain(frame))
    place = tuple(Call(id(each.f_code), each.f_lasti, site_of(each)) for each in reversed(around))
    training = _training_around(here, place)
    if training is None:
        training = _begin(here, tracker, optimizer, around)
        if training is None:
            _leave_out(optimizer)
            return None
    return take_in(training, optimizer, around, place)


def take_in(training: Training, optimizer: Any, around: list[FrameType], place: Place) -> Stepper:
    """Let an optimizer be a part of a training from now on."""
    name = models.name_of(optimizer, around) or "optimizer"
    stepper = training.add(optimizer, name, place, around)
    _State.steppers[id(optimizer)] = stepper
    weakref.finalize(optimizer, _gone, id(optimizer), stepper).atexit = False
    if training.epochs is None:
        _find_epochs(training, optimizer, around)
    return stepper


def _leave_out(optimizer: Any) -> None:
    key = id(optimizer)
    _State.left_out[key] = weakref.ref(optimizer, lambda _: _State.left_out.pop(key, None))


def _reason_to_leave_out(frame: FrameType) -> str | None:
    if options(LIBRARY).disable:
        return "switched off"
    if (trainer := frames.trainer_of(frame)) is not None:
        return f"trained by {trainer}"
    library = torch().distributed
    if library.is_available() and library.is_initialized() and library.get_rank() > 0:
        return "another process of the same training logs it"
    return None


def _training_around(here: _Here, place: Place) -> Training | None:
    """Return the training of this thread that a new optimizer takes part in.

    It does if it steps with no loss of its own, or if both are stepped in turns (a GAN): there is
    a loop around both steps, and at most one of them has a further loop to itself.
    """
    last = here.training
    if last is not None and not last.ended and not here.losses:
        return last
    for training in reversed(_State.trainings):
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


def _begin(
    here: _Here, tracker: Tracker, optimizer: Any, around: list[FrameType]
) -> Training | None:
    found = models.find_models(optimizer, around)
    hint = next((type(m).__name__ for m in found.values()), type(optimizer).__name__)
    training = begin(tracker, hint)
    if training is not None:
        _log_loader(here, training, around)
    return training


def begin(tracker: Tracker, hint: str) -> Training | None:
    """Begin a training, in the user's run or one of its own; None if there can be none."""
    recording = Recording(tracker, LIBRARY)
    recording.begin(hint)
    if recording.run is None:
        return None
    training = Training(recording, recording.run, recording.run is tracker.active_run())
    _State.trainings.append(training)
    if not _State.at_exit:
        # After the run has begun: what ends at exit ends before what it is written with.
        _State.at_exit = True
        atexit.register(_end_all)
    if _end_of_cell not in cells.on_end:
        cells.on_end.insert(0, _end_of_cell)  # before the cells are stored
    return training


def _log_loader(here: _Here, training: Training, around: list[FrameType]) -> None:
    loader = None if here.loader is None else here.loader()
    if loader is None:
        return
    if type(loader.batch_size) is int:
        training.batch_size = loader.batch_size
        training.log_params({"batch_size": loader.batch_size})
    name = models.name_of(loader, around) or "loader"
    training.recording.log_input(loader.dataset, name, "train")


def _find_epochs(training: Training, optimizer: Any, around: list[FrameType]) -> None:
    calls = [(each, site_of(each)) for each in around]
    attempt = training.recording.attempt
    training.count_by(attempt("find the epochs", epochs.find, calls, optimizer))


# --- the end ------------------------------------------------------------------------------------


def _gone(key: int, stepper: Stepper) -> None:
    """Note that an optimizer is no more."""
    _State.steppers.pop(key, None)
    training = stepper.training
    training.leave(stepper)
    if training.ended and training in _State.trainings:
        _State.trainings.remove(training)


def _end(trainings: list[Training], error: BaseException | None) -> None:
    for training in trainings:
        if training in _State.trainings:
            _State.trainings.remove(training)
        training.end(error)


def _end_of_cell() -> None:
    """End the trainings of the notebook's own thread, and of threads that are no more."""
    alive = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
    error: BaseException | None = None
    outcome = cells.executions[-1].outcome if cells.executions else None
    if outcome == "interrupted":
        error = KeyboardInterrupt()
    elif outcome == "error":
        error = getattr(sys, "last_value", None) or RuntimeError("The cell failed.")
    _end([t for t in _State.trainings if t.thread not in alive], error)
    here = _thread.here
    here.losses.clear()
    here.training = None


def _end_all() -> None:
    """End all trainings when the process does."""
    error = getattr(sys, "last_value", None)
    if hasattr(sys, "ps1") or "IPython" in sys.modules:
        error = None  # the last one of many, and long dealt with
    _end(list(_State.trainings), error)


def forget() -> None:
    """End all trainings, and forget all that is known of the user's objects and sources."""
    _end(list(_State.trainings), None)
    if _end_of_cell in cells.on_end:
        cells.on_end.remove(_end_of_cell)
    _State.steppers.clear()
    _State.left_out.clear()
    _thread.here = _Here()
    frames.forget()
    source.forget()
