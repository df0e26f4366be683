"""What a store of artifacts guarantees.

Bytes are kept once, whatever the number of runs and paths that have them; what is read back is
what was written, or `IntegrityError` is raised. Paths never leave the run's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from nbtrack.types import ArtifactInfo

Files = Mapping[str, bytes]
"""Files by path, relative to the run's artifact folder."""


class ArtifactStore(Protocol):
    """Files of runs."""

    def put(self, run_id: str, files: Files) -> None:
        """Store files; returns at once: compressing and hashing happen in the writer's thread.

        Raises
        ------
        InvalidParameterError
            A path is none, or leads out of the run's folder.
        """

    def list(self, run_id: str, path: str = "") -> list[ArtifactInfo]:
        """Return the files of a run that are below a path."""

    def read(self, run_id: str, path: str) -> bytes:
        """Return the bytes of a file.

        Raises
        ------
        NotFoundError, IntegrityError
            There is no such file; its bytes are not what was stored.
        """

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Write a file, or all files below a path, into a folder; return where `path` is now."""
