"""Where the bytes of runs live: content-addressed, compressed where that pays."""

from nbtrack.artifacts.base import ArtifactStore
from nbtrack.artifacts.digest import sha256, tree_digest
from nbtrack.artifacts.sqlite import PutFiles, SqliteArtifacts

__all__ = ["ArtifactStore", "PutFiles", "SqliteArtifacts", "sha256", "tree_digest"]
