"""What a registry guarantees.

Versions of a name count 1, 2, 3 ... without gaps and are never given twice, also when several
processes register at once. Every change adds an event to the audit trail in the same transaction.
"""

from __future__ import annotations

from typing import Protocol

from nbtrack.errors import InvalidParameterError
from nbtrack.registry.uri import RunUri
from nbtrack.types import ModelVersion, RegisteredModel

MAX_NAME = 250


class Registry(Protocol):
    """Registered models."""

    def register(self, name: str, *, run_id: str, artifact_path: str, user_id: str) -> ModelVersion:
        """Make the next version of a name from a run's model; the name is made if it is new.

        Raises
        ------
        InvalidParameterError, NotFoundError, StoreError
            The name cannot be used; the run has no such model; the database cannot be written.
        """

    def search_models(self) -> list[RegisteredModel]:
        """Return all registered models by name, each with its versions, newest first."""

    def get_version(self, name: str, version: int | str) -> ModelVersion:
        """Return a version by number, by ``latest``, by ``@alias``, or the latest of a stage.

        Raises
        ------
        NotFoundError
            There is no such model or version.
        """

    def locate_model(self, model_id: str) -> RunUri:
        """Return where the files of a model are.

        Raises
        ------
        NotFoundError
            There is no such model.
        """


def check_name(name: str) -> str:
    """Return a name that a model can be registered under, without blanks around it.

    Raises
    ------
    InvalidParameterError
        It is empty, too long, or could not be written in a ``models:/`` URI.

    Examples
    --------
    >>> check_name(" iris classifier ")
    'iris classifier'
    """
    stripped = name.strip()
    if (
        not stripped
        or len(stripped) > MAX_NAME
        or any(char in "/:@" or ord(char) < ord(" ") for char in stripped)
        or any("\ud800" <= char <= "\udfff" for char in stripped)  # half an emoji
    ):
        raise InvalidParameterError(
            f"{name!r} is no name for a registered model.",
            hint=f"Use 1 to {MAX_NAME} characters, without '/', ':', '@' and line breaks.",
        )
    return stripped
