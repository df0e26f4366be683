"""A model is a directory with an ``MLmodel`` file: saving, loading, trust."""

from typing import TYPE_CHECKING

from nbtrack._lazy import attach
from nbtrack.models.extras import Extras
from nbtrack.models.flavors import Snapshot, take_snapshot
from nbtrack.models.interface import Interface
from nbtrack.models.io import load_directory, load_predictor, save_directory, write_files
from nbtrack.models.model import Model

if TYPE_CHECKING:
    from nbtrack.batch import predict
    from nbtrack.evaluation import evaluate

__all__ = [
    "Extras",
    "Interface",
    "Model",
    "Snapshot",
    "evaluate",
    "load_directory",
    "load_predictor",
    "predict",
    "save_directory",
    "take_snapshot",
    "write_files",
]

# MLflow's names for what stands above this package: imported when they are used, and not by it.
__getattr__, __dir__ = attach(
    __name__, {"evaluate": "nbtrack.evaluation", "predict": "nbtrack.batch"}
)
