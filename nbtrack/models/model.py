"""What an MLmodel file says of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from nbtrack.models import mlmodel


@dataclass(frozen=True)
class Model:
    """A model's description: what MLflow has as ``Model`` and ``ModelInfo``.

    Parameters
    ----------
    model_uri
        Where it was found, or how to find it.
    flavors
        The entries of its flavors.
    run_id, artifact_path
        Where it was logged; empty: nowhere.
    model_uuid
        Its own id.
    utc_time_created
        As MLflow writes it.
    model_size_bytes
        Bytes of its data, if that is told.
    saved_input_example_info
        Which of the files are an example of what it takes.
    metadata
        What the user said about it.
    content
        All that the file says.
    """

    model_uri: str
    flavors: Mapping[str, Any]
    run_id: str = ""
    artifact_path: str = ""
    model_uuid: str = ""
    utc_time_created: str = ""
    model_size_bytes: int | None = None
    saved_input_example_info: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def model_id(self) -> str:
        """The model's id."""
        return str(self.content.get("model_id") or self.model_uuid)

    @classmethod
    def of(cls, content: Mapping[str, Any], model_uri: str) -> Self:
        """Return what the content of an MLmodel file says."""
        texts = ("run_id", "artifact_path", "model_uuid", "utc_time_created")
        size = content.get("model_size_bytes")
        return cls(
            model_uri=model_uri,
            flavors=content["flavors"],
            **{name: str(content.get(name) or "") for name in texts},
            model_size_bytes=size if isinstance(size, int) else None,
            saved_input_example_info=_mapping(content, "saved_input_example_info"),
            metadata=_mapping(content, "metadata"),
            content=content,
        )

    @classmethod
    def read(cls, directory: Path, model_uri: str = "") -> Self:
        """Return what a directory's MLmodel file says; nothing in it is executed.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is none, or it cannot be read.
        """
        return cls.of(mlmodel.read(directory), model_uri or str(directory))


def _mapping(content: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    found = content.get(name)
    return found if isinstance(found, dict) else None
