"""The models of a training: found by their parameters, described, and kept as bytes."""

from __future__ import annotations

import inspect
import math
import re
import weakref
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

from nbtrack.autologging.torch.frames import read, variables
from nbtrack.autologging.torch.results import resolve
from nbtrack.autologging.torch.values import Number, number, torch
from nbtrack.media import Plot

_MAX_LAYERS = 500
_SCALARS = (bool, int, float, str)
_NO_SETTINGS = {"params", "initial_lr", "last_epoch", "verbose", "optimizer", "base_lrs"}
# Whose state is spread over processes: reading it is work of all of them.
_SHARDED = {"FullyShardedDataParallel", "FSDPModule", "DTensor"}

_LARGER_IS_BETTER = re.compile(
    r"acc|auc|f1|score|r2|iou|dice|bleu|rouge|precision|recall|map$|psnr|ssim|corr|top\d"
)
_SMALLER_IS_BETTER = re.compile(r"loss|err|mse|mae|rmse|ppl|perplexity|nll|bce|wer|cer|fid")
_LOSS_NAME = re.compile(r"loss|criterion|entropy|nll|kl_div|elbo|mse|mae")
_VALIDATION = re.compile(r"(^|_)(val|valid|validation|test|eval|dev)")


def named(frames: Sequence[FrameType]) -> Iterator[tuple[str, Any]]:
    """Yield the variables of the user's frames, and what their ``self`` has, the nearest first."""
    for frame in frames:
        space = variables(frame)
        yield from space.items()
        owner = space.get("self")
        if owner is not None:
            yield from {
                **getattr(owner, "__dict__", {}),
                **getattr(owner, "__dict__", {}).get("_modules", {}),
            }.items()
    if frames:
        yield from list(frames[-1].f_globals.items())


def name_of(value: object, frames: Sequence[FrameType]) -> str | None:
    """Return what the user calls a value."""
    return next((name for name, other in named(frames) if other is value), None)


def outer_name_of(value: object, frames: Sequence[FrameType]) -> str | None:
    """Return what the user calls a value, as far out as possible: not as an argument is called."""
    names = (
        name
        for frame in reversed(frames)
        for name, other in named([frame])
        if other is value and not name.startswith("_")
    )
    return next(names, None)


def unwrapped(module: Any) -> Any:
    """Return the user's own module of one that was compiled, or is run in parallel."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and type(module).__name__ in {"DataParallel", "DistributedDataParallel"}:
            inner = module.module
        if inner is None:
            return module
        module = inner


def find_models(optimizer: Any, frames: Sequence[FrameType]) -> dict[str, Any]:
    """Return the modules, by the user's names, whose parameters `optimizer` changes."""
    left = {id(p) for group in optimizer.param_groups for p in group["params"]}
    candidates: list[tuple[int, int, int, str, Any]] = []
    known: set[int] = set()
    module_class = torch().nn.Module
    for name, value in named(frames):
        if not isinstance(value, module_class):
            continue
        module = unwrapped(value)
        if id(module) in known:
            continue
        known.add(id(module))
        own = {id(p) for p in module.parameters()}
        if own & left:
            candidates.append((-len(own & left), len(own), len(candidates), name, module))
    found: dict[str, Any] = {}
    for *_, name, module in sorted(candidates, key=lambda row: row[:3]):
        own = {id(p) for p in module.parameters()}
        if own & left:
            left -= own
            found.setdefault(name, module)
    return found


def class_name(value: object) -> str:
    """Return ``module.Class`` of an object."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def model_params(model: Any) -> dict[str, object]:
    """Return class and number of parameters of a model."""
    parameters = list(model.parameters())
    return {
        "model": type(model).__name__,
        "n_params": sum(p.numel() for p in parameters),
        "n_trainable_params": sum(p.numel() for p in parameters if p.requires_grad),
    }


def structure(model: Any, name: str) -> Plot:
    """Return the layers of a model as a table."""
    rows = [
        (path, type(module).__name__, sum(p.numel() for p in module.parameters(recurse=False)))
        for path, module in model.named_modules()
        if path or not list(model.children())
    ]
    shown = rows[:_MAX_LAYERS]
    columns = {
        "layer": [path for path, *_ in shown],
        "class": [kind for _, kind, _ in shown],
        "parameters": [count for *_, count in shown],
    }
    return Plot(f"{name} structure", "layers", columns, {"layers": len(rows)})


def optimizer_params(optimizer: Any) -> tuple[dict[str, object], list[str]]:
    """Return the settings of an optimizer, and which of them are not the defaults."""
    first, *others = optimizer.param_groups
    params: dict[str, object] = {
        key: value
        for key, value in first.items()
        if key not in _NO_SETTINGS and isinstance(value, (*_SCALARS, tuple))
    }
    if isinstance(first.get("initial_lr"), int | float):  # a scheduler begins with another rate
        params["lr"] = first["initial_lr"]
    params["optimizer_name"] = type(optimizer).__name__
    for i, group in enumerate(others, 1):
        for key, value in group.items():
            if key == "lr":
                value = group.get("initial_lr", value)  # noqa: PLW2901
            is_setting = isinstance(value, _SCALARS) and key not in _NO_SETTINGS
            if is_setting and value != params.get(key):
                params[f"{key}_group{i}"] = value
    defaults = inspect.signature(type(optimizer).__init__).parameters
    chosen = [
        key
        for key, value in params.items()
        if key in defaults and repr(value) != repr(defaults[key].default)
    ]
    return params, chosen


def scheduler_params(optimizer: Any, frames: Sequence[FrameType]) -> dict[str, object]:
    """Return the settings of the scheduler that the user has for an optimizer."""
    kind = torch().optim.lr_scheduler
    classes = (kind.LRScheduler, kind.ReduceLROnPlateau)
    of_it = (
        value
        for _, value in named(frames)
        if isinstance(value, classes) and getattr(value, "optimizer", None) is optimizer
    )
    scheduler = next(of_it, None)
    if scheduler is None:
        return {}
    params: dict[str, object] = {"scheduler": type(scheduler).__name__}
    own = vars(scheduler)
    for name in inspect.signature(type(scheduler).__init__).parameters:
        setting = own.get(name, own.get(f"_{name}"))  # SequentialLR has _milestones
        if name in _NO_SETTINGS or setting is None:
            continue
        if isinstance(setting, list | tuple | Counter):
            # A list of schedulers is told by their names.
            parts = [type(s).__name__ if isinstance(s, classes) else s for s in setting]
            if all(isinstance(part, _SCALARS) for part in parts):
                params[f"scheduler.{name}"] = ", ".join(map(str, parts))
        elif isinstance(setting, _SCALARS):
            params[f"scheduler.{name}"] = setting
    return params


def loss_function(made: Iterable[tuple[FrameType, str]], frames: Sequence[FrameType]) -> str:
    """Return what the user computes the loss with; empty if that cannot be told.

    Parameters
    ----------
    made
        Functions that were called for it, as the user's frames call them.
    frames
        Where else a module of torch's may be: it counts if it is the only one.
    """
    modules = torch().nn.modules.loss._Loss
    found = [resolve(read(frame, (text.partition(".")[0],)), text) for frame, text in made]
    texts = [text for value in found if (text := _loss_text(value))]
    if not texts:
        others = {id(value): value for _, value in named(frames) if isinstance(value, modules)}
        texts = [_loss_text(value) for value in others.values()] if len(others) == 1 else []
    return ", ".join(dict.fromkeys(texts))


def _loss_text(value: Any) -> str:
    kind = torch().nn
    if isinstance(value, kind.modules.loss._Loss):
        defaults = inspect.signature(type(value).__init__).parameters
        chosen = [
            f"{name}={own}"
            for name, own in vars(value).items()
            if name in defaults and own is not None and own != defaults[name].default
        ]
        chosen += [name for name in value._buffers if value._buffers[name] is not None]
        return type(value).__name__ + (f"({', '.join(chosen)})" if chosen else "")
    name = str(getattr(value, "__name__", type(value).__name__))
    is_function = inspect.isfunction(value) or isinstance(value, kind.Module)
    return name if is_function and _LOSS_NAME.search(name.lower()) else ""


def is_sharded(model: Any) -> bool:
    """Whether other processes have parts of the model."""
    kinds = {type(m).__name__ for m in model.modules()} | {
        type(p).__name__ for p in model.parameters()
    }
    return bool(kinds & _SHARDED) or any(name.startswith("FSDP") for name in kinds)


def better(key: str, value: float, best: float | None) -> bool:
    """Whether a validation metric says that the model is better than before."""
    if best is None:
        return not math.isnan(value)
    return value > best if _LARGER_IS_BETTER.search(key) else value < best


def validation_metric(keys: Iterable[str], known: Container[str]) -> str | None:
    """Return the metric by which the best model is chosen: a loss before anything else.

    Parameters
    ----------
    keys
        The metrics of an epoch.
    known
        Those that are known to come from a validation; of others the name tells.

    Examples
    --------
    >>> from nbtrack.autologging.torch.models import validation_metric
    >>> validation_metric(["val_acc", "loss"], set())
    'val_acc'
    """
    found = [
        key
        for key in keys
        if (key in known or _VALIDATION.search(key.lower())) and "best" not in key.lower()
    ]
    others = [key for key in found if _LARGER_IS_BETTER.search(key.lower())]
    losses = [
        key
        for key in found
        if _SMALLER_IS_BETTER.search(key.lower()) or (key in known and key not in others)
    ]
    return next(iter(losses + others), None)


class WatchedModel:
    """A model that a training changes. It is not kept alive; if it goes, its state is kept first.

    Parameters
    ----------
    name
        What the user calls it.
    path
        Where its state goes among the artifacts.
    model
        The module.
    on_death
        Called with this object when the module is about to go.
    """

    def __init__(
        self, name: str, path: str, model: Any, on_death: Callable[[WatchedModel], None]
    ) -> None:
        self.name = name
        self.path = path
        self.model_class = class_name(model)
        self.best: dict[str, Any] | None = None
        self._reference = weakref.ref(model, lambda _: on_death(self))
        self._tensors: list[tuple[str, weakref.ref[Any]]] = []
        if not is_sharded(model):
            state = model.state_dict(keep_vars=True)
            self._tensors = [
                (key, weakref.ref(value))
                for key, value in state.items()
                if isinstance(value, torch().Tensor)
            ]

    @property
    def model(self) -> Any:
        """The module, or None if it is gone."""
        return self._reference()

    def state(self) -> dict[str, Any] | None:
        """Return its state as it is now: the user's own tensors; None if there is none any more.

        When Python takes a module down, its weak references are told before its parts go.
        """
        model = self.model
        if model is not None:
            if is_sharded(model):
                return None
            return dict(model.state_dict())
        found = {key: reference() for key, reference in self._tensors}
        return found if found and all(v is not None for v in found.values()) else None

    def remember_best(self, max_bytes: int) -> bool:
        """Copy the state to the host's memory, unless it is too large; return whether it is."""
        state = self.state()
        tensor = torch().Tensor
        if not state:
            return False
        tensors = {key: value for key, value in state.items() if isinstance(value, tensor)}
        if sum(value.numel() * value.element_size() for value in tensors.values()) > max_bytes:
            return False
        self.best = {k: v.detach().to("cpu", copy=True) for k, v in tensors.items()}
        return True


def rate(value: object) -> Number | None:
    """Return a learning rate, which may be a tensor."""
    return float(value) if isinstance(value, int | float) else number(value)


def gradient_norm(optimizer: Any) -> Number | None:
    """Return the norm of all gradients as the optimizer saw them, on their device."""
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    return number(torch().nn.utils.get_total_norm(gradients)) if gradients else None
