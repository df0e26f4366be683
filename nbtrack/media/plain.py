"""Any Python value as one that JSON and YAML know. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from typing import Any

from nbtrack.media.optional import library_of

_LIBRARIES = {"numpy", "pandas", "polars", "torch", "tensorflow", "jax", "jaxlib"}
_DATES = (datetime.datetime, datetime.date, datetime.time)


def plain(value: Any, *, keep_dates: bool = False) -> Any:
    """Return a value as text, numbers, lists and dicts; what has no such form becomes its text.

    Parameters
    ----------
    value
        Anything: also arrays, frames, tensors, dates, sets, paths, dataclasses.
    keep_dates
        Leave dates as they are (YAML has them) instead of writing them as ISO text.

    Examples
    --------
    >>> import pathlib
    >>> plain({"layers": (64, 32), "data": pathlib.PurePosixPath("a/b"), "seen": {2, 1}})
    {'layers': [64, 32], 'data': 'a/b', 'seen': [1, 2]}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value, keep_dates=keep_dates)
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)  # a subclass (numpy has some) becomes the very type
    return _plain_container(value, keep_dates)


def encode_json(content: Any) -> str:
    """Return anything as JSON, as short as it can be. NaN is null, infinities are texts.

    Examples
    --------
    >>> encode_json({"x": [1.5, float("nan"), float("-inf")]})
    '{"x":[1.5,null,"-Infinity"]}'
    """
    try:
        # Mostly these are plain lists, which JSON takes at once; what is not becomes so.
        return _encoder.encode(content)
    except (TypeError, ValueError):
        return json.dumps(_finite(plain(content)), separators=(",", ":"))


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=plain)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _plain_container(value: Any, keep_dates: bool) -> Any:
    if isinstance(value, Mapping):
        return {_key(k): plain(v, keep_dates=keep_dates) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, keep_dates=keep_dates) for item in value]
    if isinstance(value, Set):
        items = [plain(item, keep_dates=keep_dates) for item in value]
        return sorted(items, key=lambda item: (not isinstance(item, int | float), _order(item)))
    return _plain_object(value, keep_dates)


def _plain_object(value: Any, keep_dates: bool) -> Any:
    if library_of(value, _LIBRARIES):
        found = _from_library(value)
        return str(value) if found is value else plain(found, keep_dates=keep_dates)
    if isinstance(value, _DATES):
        return value if keep_dates and not isinstance(value, datetime.time) else value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return plain(fields, keep_dates=keep_dates)
    return str(value)  # also what MLflow writes


def _from_library(value: Any) -> Any:
    """Return an array, frame or scalar of a data library as Python's own; itself if it is none.

    Which it is tells by what it can do: numpy, torch, jax and pandas share these names.
    """
    if type(value).__name__ in {"NaTType", "NAType"}:
        return None
    if callable(written := getattr(value, "isoformat", None)):  # pandas.Timestamp, Timedelta
        return written()
    if hasattr(value, "columns"):  # frames of pandas and polars
        return {str(name): value[name].to_list() for name in value.columns}
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in {"M", "m"} and hasattr(value, "astype"):  # their items may be whole numbers
        value = value.astype(str)
    for name in ("tolist", "to_list", "item", "numpy"):
        if callable(convert := getattr(value, name, None)):
            return convert()
    return value


def _key(key: Any) -> Any:
    """Return a key as JSON has it: numbers and None stay, and become text when they are written."""
    key = plain(key)
    return key if key is None or isinstance(key, str | int | float) else str(key)


def _order(item: Any) -> tuple[float, str]:
    return (float(item), "") if isinstance(item, int | float) else (0.0, str(item))
