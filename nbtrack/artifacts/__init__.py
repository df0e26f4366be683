"""Where the bytes of runs live: content-addressed, compressed where that pays."""

from nbtrack.artifacts.base import ArtifactStore
from nbtrack.artifacts.digest import sha256, tree_digest
from nbtrack.artifacts.sqlite import SqliteArtifacts

__all__ = ["ArtifactStore", "SqliteArtifacts", "sha256", "tree_digest"]
