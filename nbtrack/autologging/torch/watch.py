"""``nbtrack.watch``: follow a training that cannot be seen from outside, or before it begins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from nbtrack import autologging
from nbtrack.autologging.integration import current_tracker
from nbtrack.autologging.torch import registry
from nbtrack.autologging.tracker import FluentTracker
from nbtrack.errors import InvalidParameterError, StoreError

if TYPE_CHECKING:
    from nbtrack.tracking import ActiveRun


def watch(model: Any, optimizer: Any = None, *, gradient_norm: bool | None = None) -> ActiveRun:
    """Begin the run of a PyTorch training now, and return it to log to by hand.

    Loops are followed by themselves. This is for those of which nothing can be seen: a whole step
    inside of ``torch.compile``, ``torch.func``. The model and the optimizer are described, and the
    model's state is kept when the cell or script ends. Steps that can be seen go to the same run.

    Parameters
    ----------
    model
        A ``torch.nn.Module``.
    optimizer
        A ``torch.optim.Optimizer``. Watching one that is followed already gives its run.
    gradient_norm
        Log the norm of all gradients at each step that is seen; default: the setting
        ``gradient_norm``.

    Raises
    ------
    InvalidParameterError
        The model is no module, or the optimizer no optimizer.
    StoreError
        There can be no run.

    Examples
    --------
    >>> import nbtrack, tempfile, torch
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> model = torch.nn.Linear(4, 2)
    >>> run = nbtrack.watch(model)
    >>> run.log_metric("loss", 0.25, step=0)
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise InvalidParameterError(
            f"A {type(model).__name__} cannot be watched.", hint="Give a torch.nn.Module."
        )
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise InvalidParameterError(
            f"A {type(optimizer).__name__} is no optimizer.", hint="Give a torch.optim.Optimizer."
        )
    if current_tracker() is None:
        autologging.enable(FluentTracker(), registry.LIBRARY)
    tracker = current_tracker(registry.LIBRARY)
    training = None
    if tracker is not None:
        training = registry.follow(tracker, sys._getframe(1), model, optimizer)
    if training is None:
        raise StoreError(
            "No run could be begun for the model.", hint="The warning above says what went wrong."
        )
    if gradient_norm is not None:
        training.grad_norm = gradient_norm
    return cast("ActiveRun", training.run)
