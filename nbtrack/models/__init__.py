"""A model is a directory with an ``MLmodel`` file: saving, loading, trust."""

from nbtrack.models.extras import Extras
from nbtrack.models.flavors import Snapshot, take_snapshot
from nbtrack.models.interface import Interface
from nbtrack.models.io import load_directory, load_predictor, save_directory, write_files
from nbtrack.models.model import Model

__all__ = [
    "Extras",
    "Interface",
    "Model",
    "Snapshot",
    "load_directory",
    "load_predictor",
    "save_directory",
    "take_snapshot",
    "write_files",
]
