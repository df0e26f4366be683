"""What a store of artifacts guarantees.

Bytes are kept once, whatever the number of runs and paths that have them; what is read back is
what was written, or `IntegrityError` is raised. Paths never leave the run's folder, and no two of
a run are the same file anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
            A path is none, leads out of the run's folder, or cannot be beside another one.
        """

    def put_file(self, run_id: str, path: str, file: Path) -> None:
        """Store a file of the disk as it is now; a long one is read once, in pieces.

        Raises
        ------
        InvalidParameterError
            The path is none, leads out of the run's folder, or cannot be beside another one.
        OSError
            The file cannot be read.
        StoreError
            There is no room for it.
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

    def stream(self, run_id: str, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces; the last one only if all of them are right.

        Raises
        ------
        NotFoundError, IntegrityError, StoreError
            There is no such file; its bytes are not what was stored; they cannot be reached.
        """

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Write a file, or all files below a path, into a folder; return where `path` is now.

        A file appears under its name when it is whole and verified.
        """
