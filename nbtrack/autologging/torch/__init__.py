"""PyTorch: a loop that the user has written becomes a run, without a line of the user's.

What is heard is a backward pass (the loss, by the user's name for it), a step of an optimizer, a
loss that is computed without gradients (validation) and the begin of a `DataLoader` (an epoch may
be over). The rest is read from the source around these calls, and from the user's variables once
an epoch. Nothing here imports torch, waits for a device, or keeps a tensor of the user's alive.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from nbtrack.autologging.patching import Patches
from nbtrack.autologging.torch import listeners, registry
from nbtrack.autologging.torch.adoption import adopt
from nbtrack.autologging.torch.taps import Taps

__all__ = ["adopt", "forget", "install"]

_LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
)


class _Installed:
    taps: Taps | None = None
    handle: Any = None


def install(module: ModuleType, patches: Patches) -> None:
    """Listen to torch, which has just been imported. `patches` has no part in it."""
    taps = _Installed.taps = Taps()
    try:
        taps.before(module.autograd.backward, listeners.on_backward)
        taps.before(vars(module.utils.data.DataLoader)["__iter__"], listeners.on_loader)
        grad_enabled, is_compiling = module.is_grad_enabled, module.compiler.is_compiling
        for name in _LOSSES:
            taps.after(
                getattr(module.nn.functional, name, None),
                listeners.on_loss,
                grad_enabled,
                is_compiling,
            )
        register = sys.modules["torch.optim.optimizer"].register_optimizer_step_post_hook
        _Installed.handle = register(listeners.step_listener(module.compiler.is_dynamo_compiling))
    except Exception:
        forget()
        raise


def forget() -> None:
    """Leave torch as it was, end the trainings that go on, and forget them."""
    registry.forget()
    listeners.forget()
    if _Installed.taps is not None:
        _Installed.taps.restore()
        _Installed.taps = None
    if _Installed.handle is not None:
        _Installed.handle.remove()
        _Installed.handle = None
