"""Versions of registered models, as both of MLflow's stores have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbtrack.transfer.imports.base import ForeignVersion
from nbtrack.transfer.imports.mlflow.models import with_message
from nbtrack.transfer.imports.mlflow.words import text, whole

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
