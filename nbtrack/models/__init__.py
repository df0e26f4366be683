"""A model is a directory with an ``MLmodel`` file: saving, loading, trust."""

from nbtrack.models.flavors import Snapshot, take_snapshot
from nbtrack.models.interface import Interface
from nbtrack.models.io import load_directory, write_files

__all__ = ["Interface", "Snapshot", "load_directory", "take_snapshot", "write_files"]
