"""PyTorch: the state of a module as safetensors. There is no pickle, and no code in it.

What comes back is the module, where its class can be imported and made without arguments, and
otherwise its state, for ``Net(...).load_state_dict(state)``. MLflow loads such a module, too, as
``pyfunc``: the loader that MLmodel names is this file.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nbtrack.errors import InvalidParameterError, MissingPackageError
from nbtrack.models.flavors.base import (
    ModelTooLargeError,
    Snapshot,
    class_name,
    file_of,
)

if TYPE_CHECKING:
    import torch

NAMES = ("torch",)
LOADERS = ("nbtrack.models.flavors.torch",)
DATA = "model.safetensors"
_MB = 2**20


@dataclass(frozen=True)
class State:
    """The state of a module that need not be there any more.

    Parameters
    ----------
    tensors
        As ``module.state_dict()`` has them.
    model_class
        ``module.Class`` of the module.
    """

    tensors: Mapping[str, Any]
    model_class: str


def is_model(model: object) -> bool:
    """Whether it is a module, or the state of one."""
    return isinstance(model, State) or any(
        kind.__module__ == "torch.nn.modules.module" for kind in type(model).__mro__
    )


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return None: safetensors are only data; but the module of a class is not imported for them.

    It is, if it was imported before, or is torch's own.
    """
    name = str(native.get("model_class", ""))
    module = name.rpartition(".")[0]
    if not module or module.partition(".")[0] in {"__main__", "torch"} or module in sys.modules:
        return None
    return f"of the class {name!r}, which is not imported yet"


def snapshot(model: object, *, max_bytes: int) -> Snapshot:
    """Return the state of a module, or a `State`, as bytes.

    What is no tensor in the state (``get_extra_state``) is left out, and named in MLmodel.

    Raises
    ------
    ModelTooLargeError
        The tensors take more than `max_bytes`.
    InvalidParameterError
        It is neither a module nor a state.
    MissingPackageError
        safetensors is not installed.
    """
    import torch

    if isinstance(model, torch.nn.Module):
        model = State(model.state_dict(), class_name(model))
    if not isinstance(model, State):
        raise InvalidParameterError(
            f"A {type(model).__name__} is no torch.nn.Module.", hint="Give the module itself."
        )
    tensors = {k: v.detach() for k, v in model.tensors.items() if isinstance(v, torch.Tensor)}
    # The same memory under several names, as of tied weights, is stored once.
    owners: dict[tuple[Any, ...], str] = {}
    aliases: dict[str, str] = {}
    kept: dict[str, torch.Tensor] = {}
    size = 0
    for name, tensor in tensors.items():
        place = tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
        owner = owners.setdefault(place, name) if tensor.numel() else name
        if owner != name:
            aliases[name] = owner
            continue
        kept[name] = tensor
        size += tensor.numel() * tensor.element_size()
        if size > max_bytes:
            raise ModelTooLargeError(
                f"The model takes more than {max_bytes / _MB:g} MB.",
                hint="Raise the limit: %config NBTrack.max_model_mb = ...",
            )
    return Snapshot(
        flavor=NAMES[0],
        model_class=model.model_class,
        files={DATA: _save(kept)},
        native={
            "state": DATA,
            "format": "safetensors",
            "model_class": model.model_class,
            "aliases": aliases,
            "left_out": [name for name in model.tensors if name not in tensors],
            "torch_version": str(torch.__version__),
        },
        pyfunc={"loader_module": LOADERS[0]},
        requirements=(f"torch=={torch.__version__.partition('+')[0]}", "safetensors", "nbtrack"),
    )


def load(directory: Path, native: Mapping[str, Any]) -> object:
    """Return the module, or its state: a dict of tensors on the CPU.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        torch or safetensors is not installed; the file is not there, or is damaged.
    """
    safetensors = _library()
    data = file_of(directory, native.get("state", DATA))
    try:
        state: dict[str, Any] = safetensors.load(data.read_bytes())
    except Exception as error:
        raise InvalidParameterError(f"{data} cannot be read: {error}.") from error
    aliases = native.get("aliases")
    if isinstance(aliases, dict):
        for name, owner in aliases.items():
            if owner in state:
                state[str(name)] = state[owner]
    return _module(str(native.get("model_class", "")), state) or state


class Predictor:
    """A module as MLflow's ``pyfunc`` has it.

    Parameters
    ----------
    module
        The module; it is set to evaluation.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module.eval()

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the module gives for an array, or for the rows of a frame, as an array.

        Parameters
        ----------
        data
            Floats become those of the module; other numbers stay as they are.
        params
            None are known.

        Raises
        ------
        InvalidParameterError
            The data is no array and no frame, or there are params.
        """
        import numpy as np
        import torch

        if params:
            raise InvalidParameterError(f"A module takes no params: {sorted(params)}.")
        values = data.to_numpy() if hasattr(data, "to_numpy") else data
        if not isinstance(values, np.ndarray) or values.dtype == object:
            raise InvalidParameterError(
                f"A {type(data).__name__} cannot be given to a module.",
                hint="Give an array of numbers, or a frame of them.",
            )
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if tensor.is_floating_point():
            own = (p.dtype for p in self._module.parameters() if p.is_floating_point())
            tensor = tensor.to(next(own, torch.float32))
        with torch.no_grad():
            return self._module(tensor).numpy()


def predictor(
    directory: Path,
    pyfunc: Mapping[str, Any],
    native: Mapping[str, Any],
) -> Predictor:
    """Return what predicts.

    Raises
    ------
    InvalidParameterError
        Only the state is there.
    """
    found = load(directory, native)
    if isinstance(found, dict):
        raise InvalidParameterError(
            f"The model {directory} is a state without its module: {native.get('model_class')} "
            "cannot be imported here and made without arguments.",
            hint="nbtrack.load_model gives the state, for Net(...).load_state_dict(state).",
        )
    return Predictor(cast("torch.nn.Module", found))


def _load_pyfunc(path: str) -> Predictor:
    """Return what MLflow predicts with; it calls this with the model's directory.

    Raises
    ------
    InvalidParameterError
        Only the state is there.
    """
    import yaml

    directory = Path(path)
    content = yaml.safe_load((directory / "MLmodel").read_text(encoding="utf-8"))
    return predictor(directory, {}, content["flavors"]["torch"])


def _module(model_class: str, state: Mapping[str, Any]) -> Any:
    """Return a module of that class with the state, or None if it cannot be made so."""
    import torch

    module_name, _, name = model_class.rpartition(".")
    if not module_name or module_name.startswith("__main__"):
        return None
    try:
        kind = getattr(importlib.import_module(module_name), name)
        if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
            return None
        module = kind()
        module.load_state_dict(state)
    except Exception:  # noqa: BLE001  # it wants arguments, or is another class by now
        return None
    return module


def _save(tensors: Mapping[str, torch.Tensor]) -> bytes:
    contiguous = {}
    memory: set[int] = set()
    for name, tensor in tensors.items():
        # A view of memory that is there already must become memory of its own.
        where = tensor.untyped_storage().data_ptr()
        copied = tensor.contiguous()
        shared = where in memory and where == copied.untyped_storage().data_ptr()
        contiguous[name] = copied.clone() if shared else copied
        memory.add(where)
    data: bytes = _library().save(contiguous)
    return data


def _library() -> Any:
    try:
        return importlib.import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        package = "torch" if error.name == "torch" else "safetensors"
        raise MissingPackageError(
            f"PyTorch models need the package '{package}', which is not installed.",
            hint=f"Install it: pip install {package}",
        ) from error
