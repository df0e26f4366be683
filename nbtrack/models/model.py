"""What an MLmodel file says of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nbtrack.models import mlmodel

if TYPE_CHECKING:
    from nbtrack.models.schema import ParamSchema, Schema
    from nbtrack.models.signature import ModelSignature


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

    @property
    def signature(self) -> ModelSignature | None:
        """What it takes and gives.

        Raises
        ------
        InvalidParameterError
            What the file says is none.
        """
        from nbtrack.models.signature import ModelSignature

        told = _mapping(self.content, "signature")
        return ModelSignature.from_dict(told) if told and any(told.values()) else None

    @property
    def is_signature_from_type_hint(self) -> bool:
        """Whether the model itself checks what it takes, by a type hint."""
        return bool(self.content.get("is_signature_from_type_hint"))

    def get_input_schema(self) -> Schema | None:
        """Return the schema of what it takes."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> Schema | None:
        """Return the schema of what it gives."""
        return self.signature.outputs if self.signature else None

    def get_params_schema(self) -> ParamSchema | None:
        """Return the schema of the params of `predict`."""
        return self.signature.params if self.signature else None

    def to_dict(self) -> dict[str, Any]:
        """Return what the file says."""
        return dict(self.content)

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
