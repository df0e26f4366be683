"""What is called from inside torch: a backward pass, a step, a loss, the begin of a loader."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from nbtrack.autologging import scope
from nbtrack.autologging.integration import current_tracker
from nbtrack.autologging.recording import describe, warn
from nbtrack.autologging.torch import frames
from nbtrack.autologging.torch.frames import user_frame
from nbtrack.autologging.torch.registry import (
    LIBRARY,
    Here,
    first_step,
    go_on,
    locate,
    steppers,
    thread,
)
from nbtrack.autologging.torch.source import Site, site_of
from nbtrack.autologging.torch.values import Number, mean, number, torch

_getframe = sys._getframe
_CALLER = 3  # frames from a listener to ``loss.backward()``: the tap, Tensor.backward, the user's
_MAX_LOSSES = 4096  # of backward passes that no step follows
_LOOK_EVERY = 8  # backward passes between two looks at a function's variables, which cost 2 us

_MAX_KNOWN = 1024

# Names of losses by code and instruction; the code is kept, so that its id stays its own.
_known: dict[tuple[int, int], tuple[str, CodeType]] = {}


def _trouble(error: Exception) -> None:
    """Tell what went wrong: tracking never breaks the user's call."""
    tracker = current_tracker(LIBRARY)
    if tracker is not None:
        warn(tracker, f"nbtrack could not follow a training loop: {describe(error)}")


# --- losses -------------------------------------------------------------------------------------


def on_backward(tensors: Any) -> None:
    """Note the loss of a backward pass.

    Every step of the user's comes by here, and finds the processor's caches full of torch: what is
    called costs thrice what it costs alone. So losses that were seen before are all done here.
    """
    __tracebackhide__ = True
    try:
        here = thread.here
        try:
            frame = _getframe(_CALLER)
            name = _known[id(frame.f_code), frame.f_lasti][0]
        except (KeyError, ValueError):
            _note(here, tensors)
            return
        training = here.training
        if training is not None and (epochs := training.epochs) is not None:
            if epochs.space is None:
                here.look_in -= 1
                if here.look_in < 0:
                    training.look(frame)
                    here.look_in = min(_LOOK_EVERY, training.steps_to_skip())
            elif epochs.space.get(epochs.counter) is not epochs.current:
                training.look(frame)
        try:
            value = tensors.item() if tensors.is_cpu else number(tensors)
        except RuntimeError:  # it has more than one number, or none that is there
            return
        if value is not None:
            here.losses.append((name, value))
    except Exception as error:  # noqa: BLE001
        _trouble(error)


def _note(here: Here, tensors: Any) -> None:
    """Note a loss that is seen for the first time, or is called through others, or is composed."""
    caller = _getframe(_CALLER)  # Tensor.backward: we are one frame further in
    frame = user_frame(caller)
    if frame is None:
        return
    if here.training is not None:
        here.training.look(frame)
    site = site_of(frame)
    (here.shares.add if site.is_share else here.shares.discard)(site.name)
    if not site.scalars and caller.f_back is frame:
        # By Tensor.backward; `torch.autograd.backward` itself is called one frame further in.
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[id(frame.f_code), frame.f_lasti] = site.name, frame.f_code
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
        _validate(thread.here, value, first, reduction)
    except Exception as error:  # noqa: BLE001
        _trouble(error)


def _validate(here: Here, value: Any, first: Any, reduction: Any) -> None:
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
    training.validate(frame, site_of(frame), total, weight)


def on_loader(loader: Any) -> None:
    """See whether the epoch before is over; remember where the batches come from."""
    try:
        here = thread.here
        here.look_in = 0
        frame, training = user_frame(_getframe(1)), here.training
        going = training if training is not None and not training.ended else None
        if torch().is_grad_enabled():
            here.loader = weakref.ref(loader)
        elif going is not None:
            going.expect(_batches(loader))
        if going is not None and going.epochs is not None and frame is not None:
            going.look(frame)
    except Exception as error:  # noqa: BLE001
        _trouble(error)


def _batches(loader: Any) -> int:
    """Return how many batches a loader says it has; 0 if it does not know."""
    try:
        return len(loader)
    except TypeError:  # its dataset is a stream
        return 0


# --- steps --------------------------------------------------------------------------------------


def step_listener(
    is_compiling: Callable[[], bool],
) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], None]:
    """Return what notes that an optimizer has stepped: a global post hook of torch's optimizers.

    Parameters
    ----------
    is_compiling
        ``torch.compiler.is_dynamo_compiling``: what is traced is left alone.
    """

    def on_step(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        __tracebackhide__ = True
        if is_compiling():
            return
        here = thread.here
        losses = here.losses
        try:
            stepper = steppers.get(id(optimizer)) or first_step(optimizer)
            if stepper is None:
                return
            training = stepper.training
            if training.ended or training.is_users:
                stepper = go_on(stepper, optimizer)
                if stepper is None:
                    return
                training = stepper.training
            here.training = training
            if not stepper.place:
                locate(stepper, optimizer)
            if len(losses) > 1:
                losses = _of_one_step(here, is_search=bool(len(args) > 1 or kwargs))
            training.step(stepper, optimizer, losses)
        except Exception as error:  # noqa: BLE001
            _trouble(error)
        finally:
            here.losses.clear()

    return on_step


def _of_one_step(here: Here, *, is_search: bool) -> list[tuple[str, Number]]:
    """Return one number for each loss: there are several, or batches were accumulated.

    Of a closure's, the first loss is that of the step, and the others are a search.
    """
    if is_search:
        return list(dict(reversed(here.losses)).items())
    by_name: dict[str, list[Number]] = {}
    for name, value in here.losses:
        by_name.setdefault(name, []).append(value)
    return [
        (name, sum(values) if name in here.shares else mean(values))
        for name, values in by_name.items()
    ]


def forget() -> None:
    """Forget the user's code."""
    _known.clear()
