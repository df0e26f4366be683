"""Models at the end of a training: their last state, and that of the best epoch, as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtrack.autologging import tally
from nbtrack.autologging.integration import TrackedRun
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.torch.models import WatchedModel
from nbtrack.autologging.torch.validation import Best
from nbtrack.errors import NbtrackError
from nbtrack.models import take_snapshot
from nbtrack.settings import settings

_MB = 2**20
MODEL, BEST_MODEL = "model", "best_model"


def keep(
    recording: Recording, run: TrackedRun, model: WatchedModel, best: Best, steps: int
) -> None:
    """Keep a model as it is now, after so many steps, and as it was at its best."""
    state = model.state()
    if not state:
        return
    if not recording.options.log_models:
        tally.skipped(recording.library, "model: log_models is off")
        return
    _keep_state(recording, run, model, state, model.path)
    if model.best is not None and best.steps != steps:
        path = model.path.replace(MODEL, BEST_MODEL, 1)
        _keep_state(recording, run, model, model.best, path)
    if best.key is not None:
        run.set_tags({"nbtrack.best_epoch": str(best.epoch), "nbtrack.best_by": best.key})


def _keep_state(
    recording: Recording,
    run: TrackedRun,
    model: WatchedModel,
    state: Mapping[str, Any],
    path: str,
) -> None:
    from nbtrack.models.flavors.torch import State

    held = State(state, model.model_class)
    try:
        snapshot = take_snapshot(held, "torch", max_bytes=settings.max_model_mb * _MB)
    except NbtrackError as error:
        recording.notice("model", f"The model {model.name} was not kept: {error}")
        return
    registered = recording.options.registered_model_name if path == model.path else None
    run.log_state(snapshot, path, registered_model_name=registered)
    tally.logged(recording.library, "models")
