"""Datasets as they are stored, and back to where they came from."""

from __future__ import annotations

import json
from typing import Any

from nbtrack import types
from nbtrack.data.sources import source_from_json
from nbtrack.errors import InvalidParameterError
from nbtrack.provenance import describe, redact


def to_record(data: Any, name: str | None = None) -> types.Dataset:
    """Return what is stored of a dataset, or of any data: never the data itself.

    Parameters
    ----------
    data
        A dataset of `nbtrack.data` or of MLflow, or data: an array, a DataFrame, a list ...
    name
        Takes the place of the dataset's own name. Data has the name ``dataset`` without it.

    Raises
    ------
    InvalidParameterError
        A dataset whose ``to_dict()`` is not as MLflow's.

    Examples
    --------
    >>> from nbtrack.data import from_list
    >>> to_record(from_list([{"x": 1}], source="https://me:hunter2@example.org/x")).source
    '{"url": "https://me:«redacted»@example.org/x"}'
    >>> to_record([[1, 2], [3, 4]], "grid").profile
    {'shape': [2, 2]}
    """
    if isinstance(data, types.Dataset):
        return data
    if not is_dataset(data):
        return describe(data, name or "dataset")
    try:
        facts = dict(data.to_dict())
        return types.Dataset(
            name=str(facts["name"] if name is None else name),
            digest=str(facts["digest"]),
            source_type=str(facts["source_type"]),
            schema=_object(facts.get("schema")),
            profile=_object(facts.get("profile")),
            source=_masked(str(facts["source"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"A {type(data).__name__} is no dataset that can be logged: {error!r}.",
            hint="Its to_dict() needs name, digest, source and source_type, as text.",
        ) from error


def is_dataset(data: Any) -> bool:
    """Return whether an object is a dataset, ours or MLflow's, and not bare data.

    Examples
    --------
    >>> is_dataset([1, 2])
    False
    """
    # A digest of text: a DataFrame may have columns of these names.
    return isinstance(getattr(data, "digest", None), str) and all(
        hasattr(data, name) for name in ("name", "source", "to_dict", "to_json")
    )


def get_source(dataset: Any) -> Any:
    """Return where a dataset came from.

    Parameters
    ----------
    dataset
        A dataset of `nbtrack.data`, or one that a run has among its inputs.

    Raises
    ------
    InvalidParameterError
        It is no dataset, or has no source that is known.

    Examples
    --------
    >>> from nbtrack.data import from_list
    >>> get_source(to_record(from_list([{"x": 1}], source="x.csv")))
    <LocalDatasetSource {"uri": "x.csv"}>
    """
    if isinstance(getattr(dataset, "dataset", None), types.Dataset) or (
        hasattr(dataset, "dataset") and not hasattr(dataset, "source")
    ):
        dataset = dataset.dataset
    source = getattr(dataset, "source", None)
    if isinstance(source, str):  # as it is stored
        return source_from_json(source, str(dataset.source_type))
    if source is None:
        raise InvalidParameterError(
            f"A {type(dataset).__name__} is no dataset.",
            hint="Give one of nbtrack.data, or one of a run's inputs.",
        )
    return source


def _object(text: Any) -> dict[str, Any]:
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else {}


def _masked(source: str) -> str:
    """Return the source without secrets; where masking would break its JSON, as one text."""
    masked = redact(source)
    try:
        json.loads(source)
        json.loads(masked)
    except ValueError:
        return json.dumps({"uri": masked}) if source.startswith("{") else masked
    return masked
