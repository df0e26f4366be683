"""Registered models: in MLflow's database, and what both of its stores have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nbtrack.errors import NbtrackError
from nbtrack.transfer.imports.base import ForeignModel, ForeignVersion
from nbtrack.transfer.imports.mlflow.files import Tell
from nbtrack.transfer.imports.mlflow.models import Models, with_message
from nbtrack.transfer.imports.mlflow.tables import Tables
from nbtrack.transfer.imports.mlflow.words import of_workspace, text, whole

BROKEN = (NbtrackError, ValueError, TypeError, OverflowError)
"""What a reader of a store gets from something that is not as it should be."""

IS_PROMPT = "mlflow.prompt.is_prompt"
"""Tag of what MLflow keeps among its registered models, and is none."""
REMOVED = "Deleted_Internal"
"""Stage of a version that was deleted for good."""


def foreign_version(facts: Mapping[str, Any], tags: Mapping[str, str]) -> ForeignVersion:
    """Return a version as it is stored; what it points to is looked up later."""
    created = facts.get("creation_time", facts.get("creation_timestamp"))
    updated = facts.get("last_updated_time", facts.get("last_updated_timestamp"))
    return ForeignVersion(
        version=int(facts["version"]),
        source=text(facts.get("source")),
        creation_timestamp=whole(created) or 0,
        last_updated_timestamp=whole(updated),
        run_id=text(facts.get("run_id")) or None,
        model_id=text(facts.get("model_id")) or None,
        user_id=text(facts.get("user_id")),
        description=text(facts.get("description")),
        current_stage=text(facts.get("current_stage")) or "None",
        status=text(facts.get("status")) or "READY",
        run_link=text(facts.get("run_link")),
        tags=with_message(tags, facts.get("status_message")),
    )


class DatabaseModels:
    """The registered models of a database.

    Parameters
    ----------
    tables
        Where they are.
    models
        Knows where the files of logged models went.
    tell
        Told what cannot be read.
    """

    def __init__(self, tables: Tables, models: Models, tell: Tell) -> None:
        self._tables = tables
        self._models = models
        self._tell = tell

    def read(self) -> Iterator[ForeignModel]:
        """Yield the registered models."""
        columns = ("name", "workspace", "creation_time", "last_updated_time", "description")
        rows = list(self._tables.rows("registered_models", columns, "ORDER BY t.name"))
        versions = {
            (of_workspace(row["name"], row["workspace"]), text(row["version"])): text(row["source"])
            for row in self._tables.rows(
                "model_versions", ("name", "workspace", "version", "source")
            )
        }
        prompts = 0
        for row in rows:
            tags = self._tables.named("registered_model_tags", row, ("key", "value"))
            if IS_PROMPT in {text(key) for key, _ in tags}:
                prompts += 1
                continue
            try:
                model = self._registered(row, {text(k): text(v) for k, v in tags}, versions)
            except BROKEN as error:
                self._tell(f"The model {row['name']!r} was left out: {error}")
            else:
                yield model
        if prompts:
            self._tell(f"{prompts} prompts were left out: nbtrack has no place for them.")

    def _registered(
        self, row: Mapping[str, Any], tags: dict[str, str], versions: Mapping[tuple[str, str], str]
    ) -> ForeignModel:
        name = of_workspace(text(row["name"]), row["workspace"])
        columns = (
            "version",
            "creation_time",
            "last_updated_time",
            "description",
            "user_id",
            "current_stage",
            "source",
            "run_id",
            "run_link",
            "status",
            "status_message",
        )
        of_versions: dict[int, dict[str, str]] = {}
        for version, key, value in self._tables.named(
            "model_version_tags", row, ("version", "key", "value")
        ):
            of_versions.setdefault(version, {})[text(key)] = text(value)
        found: list[ForeignVersion] = []
        for values in self._tables.named("model_versions", row, columns):
            facts = dict(zip(columns, values, strict=True))
            if facts["current_stage"] != REMOVED:
                version = foreign_version(facts, of_versions.get(facts["version"], {}))
                called = f"version {version.version} of the model {name!r}"
                found.append(self._models.version(version, versions, called))
        created = whole(row["creation_time"]) or 0
        return ForeignModel(
            name=name,
            creation_timestamp=created,
            last_updated_timestamp=whole(row["last_updated_time"]) or created,
            description=text(row["description"]),
            tags=tags,
            aliases={
                text(alias): int(version)
                for alias, version in self._tables.named(
                    "registered_model_aliases", row, ("alias", "version")
                )
            },
            versions=found,
        )
