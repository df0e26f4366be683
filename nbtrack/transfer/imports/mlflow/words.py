"""MLflow's words, as its stores write them, in nbtrack's. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nbtrack.errors import IntegrityError
from nbtrack.types import Dataset, DatasetInput, LifecycleStage, RunStatus

CONTEXT = "mlflow.data.context"
SOURCE_TAG = "nbtrack.import.source"
"""Tag of what had to be told otherwise here: what it was there."""
LOCATION_TAG = "nbtrack.import.artifact_location"
MESSAGE_TAG = "nbtrack.import.status_message"

_RUN_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_SOURCE_TYPE = {1: "NOTEBOOK", 2: "JOB", 3: "PROJECT", 4: "LOCAL"}
_MODEL_STATUS = {
    0: "LOGGED_MODEL_UNSPECIFIED",
    1: "LOGGED_MODEL_PENDING",
    2: "LOGGED_MODEL_READY",
    3: "LOGGED_MODEL_UPLOAD_FAILED",
}
_MODEL_WORDS = {"UNSPECIFIED": 0, "PENDING": 1, "READY": 2, "FAILED": 3}
_RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_HEX = re.compile(r"[0-9a-f]{32}")


def text(value: Any) -> str:
    """Return a value as text; None is empty.

    Examples
    --------
    >>> text(None), text("a"), text(3)
    ('', 'a', '3')
    """
    return "" if value is None else str(value)


def whole(value: Any) -> int | None:
    """Return a value as a whole number; None stays None.

    Raises
    ------
    ValueError, TypeError
        It is none.

    Examples
    --------
    >>> whole("12"), whole(3.0), whole(None)
    (12, 3, None)
    """
    return None if value is None else int(value)


def run_status(value: Any) -> RunStatus:
    """Return the state of a run: the store of files has numbers, and none is RUNNING.

    Examples
    --------
    >>> run_status(3), run_status("FAILED"), run_status(None)
    (<RunStatus.FINISHED: 'FINISHED'>, <RunStatus.FAILED: 'FAILED'>, <RunStatus.RUNNING: 'RUNNING'>)
    """
    if value is None:
        return RunStatus.RUNNING
    word = _RUN_STATUS.get(value, value) if isinstance(value, int) else text(value)
    if word not in list(RunStatus):
        raise IntegrityError(f"{value!r} is no state of a run.")
    return RunStatus(word)


def stage(value: Any) -> LifecycleStage:
    """Return whether something is in the trash; stores of old do not say so.

    Examples
    --------
    >>> stage("deleted"), stage(None)
    (<LifecycleStage.DELETED: 'deleted'>, <LifecycleStage.ACTIVE: 'active'>)
    """
    word = value or LifecycleStage.ACTIVE
    if word not in list(LifecycleStage):
        raise IntegrityError(f"{value!r} is no stage of a life: active or deleted is.")
    return LifecycleStage(word)


def model_status(value: Any) -> str:
    """Return the state of a logged model.

    Examples
    --------
    >>> model_status(2), model_status("READY"), model_status("FAILED")
    ('LOGGED_MODEL_READY', 'LOGGED_MODEL_READY', 'LOGGED_MODEL_UPLOAD_FAILED')
    """
    number = _MODEL_WORDS.get(value) if isinstance(value, str) else value
    return text(value) if number is None else _MODEL_STATUS.get(number, text(value))


def legacy_tags(facts: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags, with what MLflow kept in fields of its own before they were tags.

    Examples
    --------
    >>> legacy_tags({"source_name": "train.py", "source_type": 4}, {"a": "1"})
    {'a': '1', 'mlflow.source.name': 'train.py', 'mlflow.source.type': 'LOCAL'}
    """
    found = dict(tags)
    if name := text(facts.get("source_name")):
        found.setdefault("mlflow.source.name", name)
        kind = facts.get("source_type")
        kind = _SOURCE_TYPE.get(kind) if isinstance(kind, int) else text(kind)
        if kind and kind != "UNKNOWN":
            found.setdefault("mlflow.source.type", kind)
    if entry := text(facts.get("entry_point_name")):
        found.setdefault("mlflow.project.entryPoint", entry)
    if version := text(facts.get("source_version")):
        found.setdefault("mlflow.source.git.commit", version)
    return found


def parent_of(tags: Mapping[str, str]) -> str | None:
    """Return the run that a run is a part of.

    Examples
    --------
    >>> parent_of({"mlflow.parentRunId": "ab12"}), parent_of({})
    ('ab12', None)
    """
    parent = tags.get("mlflow.parentRunId", "")
    return parent if _RUN_ID.fullmatch(parent) else None


def dataset_input(dataset: Mapping[str, Any], tags: Mapping[str, str]) -> DatasetInput:
    """Return a dataset in its part for a run."""
    return DatasetInput(
        Dataset(
            name=text(dataset.get("name")),
            digest=text(dataset.get("digest")),
            source_type=text(dataset.get("source_type")),
            schema=_object(dataset.get("schema")),
            profile=_object(dataset.get("profile")),
            source=text(dataset.get("source")),
        ),
        context=tags.get(CONTEXT, ""),
        tags={key: value for key, value in tags.items() if key != CONTEXT},
    )


def _object(value: Any) -> dict[str, Any]:
    """Return what is JSON in MLflow, and an object here."""
    if value in (None, ""):
        return {}
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = value
    return found if isinstance(found, dict) else {"text": found}


def hex_id(model_id: str) -> str:
    """Return the id of the run that is made for a logged model that has none.

    Examples
    --------
    >>> hex_id("m-0123456789abcdef0123456789abcdef")
    '0123456789abcdef0123456789abcdef'
    """
    found = model_id.removeprefix("m-")
    if _HEX.fullmatch(found):
        return found
    raise IntegrityError(f"{model_id!r} is no id of a logged model: m- and 32 hex digits are.")


def of_workspace(name: str, workspace: Any) -> str:
    """Return a name that is one here, too: MLflow's workspaces each have their own names.

    Examples
    --------
    >>> of_workspace("iris", "default"), of_workspace("iris", "team-a")
    ('iris', 'team-a.iris')
    """
    return name if workspace in (None, "", "default") else f"{workspace}.{name}"
