"""A module that was trained before it was tracked becomes a run."""

from __future__ import annotations

import sys
from typing import Any

from nbtrack.autologging.integration import TrackedRun, Tracker
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.torch.models import (
    class_name,
    is_sharded,
    model_params,
    structure,
    unwrapped,
)
from nbtrack.errors import InvalidParameterError, StoreError

_LIBRARY = "torch"


def adopt(model: Any, tracker: Tracker, tags: dict[str, str]) -> TrackedRun | None:
    """Make a run of a module: its params, layers and state; None for what is no module.

    Raises
    ------
    InvalidParameterError
        Some of its parameters have no shape yet.
    StoreError
        No run could be begun.
    """
    torch: Any = sys.modules["torch"]
    if not isinstance(model, torch.nn.Module):
        return None
    module = unwrapped(model)
    name = type(module).__name__
    if any(torch.nn.parameter.is_lazy(parameter) for parameter in module.parameters()):
        raise InvalidParameterError(
            f"The {name} has parameters without a shape, so there is nothing to make a run of.",
            hint="Call it once with some data.",
        )
    recording = Recording(tracker, _LIBRARY)
    recording.begin(name, {"model_class": class_name(module)} | tags)
    if recording.run is None:
        raise StoreError("No run could be begun: see the warning.")
    recording.finish(lambda run: _write(recording, run, module, name))
    return recording.run


def _write(recording: Recording, run: TrackedRun, module: Any, name: str) -> None:
    params = model_params(module)
    if not recording.ours:  # a training may have logged there
        params = {f"{name}.{key}": value for key, value in params.items()}
    recording.attempt("log the parameters", run.log_params, params)
    recording.attempt("log the layers", lambda: run.log_plot(structure(module, name)))
    if not is_sharded(module):  # what other processes have cannot be kept from here
        recording.log_model(module, _LIBRARY)
