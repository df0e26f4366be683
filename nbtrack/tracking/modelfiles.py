"""The files of a model, on their way into the database.

In the user's call a model only becomes bytes. Describing, sealing, compressing and hashing them
takes longer, and happens in the writer's thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nbtrack.artifacts import PutContent, PutFiles
from nbtrack.db import Connection, Fields, Loggable
from nbtrack.models import Snapshot, write_files

_HERE = secrets.token_hex()
"""Known to this process only: what it put into its journal itself, it may seal."""


@dataclass(frozen=True, slots=True)
class ModelFiles(Loggable):
    """A model as it was when it was logged.

    What was left behind by a killed process is stored without a seal: whoever could write the
    journal could have put any pickle there, and the seal says that it is this user's own.
    """

    snapshot: Snapshot
    run_id: str
    artifact_path: str
    model_id: str
    is_own: bool = True

    @property
    def blobs(self) -> Sequence[bytes]:
        """The model's data."""
        return tuple(self.snapshot.files.values())

    def pack(self) -> Fields:
        """Return the packed form."""
        s = self.snapshot
        told = [
            None if part is None else dict(part)
            for part in (s.signature, s.example, s.metadata, s.facts)
        ]
        rest: list[Any] = [dict(s.native), dict(s.pyfunc), list(s.requirements), *told]
        return [
            [s.flavor, s.model_class, list(s.files), *rest],
            self.run_id,
            self.artifact_path,
            self.model_id,
            _HERE,
        ]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes]) -> Self:
        """Return the record that was packed."""
        described, run_id, artifact_path, model_id, token = fields
        flavor, model_class, names, native, pyfunc, requirements, *told = described
        files = dict(zip(names, blobs, strict=True))
        snapshot = Snapshot(flavor, model_class, files, native, pyfunc, tuple(requirements), *told)
        is_own = secrets.compare_digest(str(token).encode(), _HERE.encode())
        return cls(snapshot, run_id, artifact_path, model_id, is_own)

    def apply(self, conn: Connection) -> None:
        """Write all files of the model's directory."""
        files = write_files(
            self.snapshot,
            run_id=self.run_id,
            artifact_path=self.artifact_path,
            model_id=self.model_id,
            sealed=self.is_own,
        )
        PutFiles(self.run_id, files).apply(conn)


JOURNALED: Mapping[str, type[Loggable]] = {
    "model_files": ModelFiles,
    "put_content": PutContent,
    "put_files": PutFiles,
}
"""What is journaled besides the store's records."""
