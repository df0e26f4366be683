"""Of which types the columns of a file are, whatever part of it is looked at.

A part of a file may look otherwise than all of it: postal codes that happen to be digits, whole
numbers where others have a fraction. Each part is given the types that the whole file would have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORCED: dict[str, Any] = {"string": "str", "float": "float32", "double": "float64"}
_INT32 = 2**31


def signature_columns(signature: object) -> dict[str, str]:
    """Return the named columns of a signature, and their types; none if it has no such.

    Parameters
    ----------
    signature
        As MLmodel has it.

    Examples
    --------
    >>> signature_columns({"inputs": '[{"name": "x", "type": "double"}]'})
    {'x': 'double'}
    >>> signature_columns({"inputs": '[{"type": "tensor"}]'})
    {}
    """
    inputs = signature.get("inputs") if isinstance(signature, Mapping) else None
    if not isinstance(inputs, str):
        return {}
    try:
        columns = json.loads(inputs)
    except ValueError:
        return {}
    if not isinstance(columns, list) or not all(
        isinstance(c, dict) and isinstance(c.get("name"), str) and c.get("type") != "tensor"
        for c in columns
    ):
        return {}
    return {column["name"]: str(column.get("type")) for column in columns}


def forced(columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the types that text has to be read as; those of other columns are seen in it."""
    return {name: _FORCED[kind] for name, kind in columns.items() if kind in _FORCED}


def conform(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the columns that a signature names, in its order, as near to its types as is safe.

    Without a signature nothing is changed.
    """
    import pandas as pd

    if not columns:
        return frame

    frame = frame[[name for name in columns if name in frame.columns]]
    changed: dict[str, Any] = {}
    for name in frame.columns:
        column, kind = frame[name], columns[name]
        if kind == "datetime" and column.dtype.kind != "M":
            changed[name] = pd.to_datetime(column)
        elif kind == "integer" and column.dtype == "int64":
            if len(column) and column.min() >= -_INT32 and column.max() < _INT32:
                changed[name] = column.astype("int32")
        elif kind in {"float", "double"} and column.dtype.kind in "iuf":
            changed[name] = column.astype(_FORCED[kind])
    return frame.assign(**changed) if changed else frame


def common_types(frames: Iterable[pd.DataFrame], mixed: str | None = None) -> dict[str, Any]:
    """Return the types of the columns of all parts together, where the parts may differ.

    Columns that need no such care are left out: those of truth values, and empty ones.

    Parameters
    ----------
    mixed
        The type of a column that has texts and other values; None: that of texts.
    """
    kinds: dict[str, set[str]] = {}
    texts: dict[str, Any] = {}
    rows: dict[str, int] = {}
    total = 0
    for frame in frames:
        total += len(frame)
        for name in frame.columns:
            found = _kinds(frame[name])
            kinds.setdefault(name, set()).update(found)
            rows[name] = rows.get(name, 0) + len(frame)
            if (
                "text" in found and str(texts.get(name)) != "object"
            ):  # which holds all the others, too
                texts[name] = frame[name].dtype
    for name, count in rows.items():
        if count < total:  # a part has no such column
            kinds[name].add("missing")
    return {
        name: kind
        for name in kinds
        if (kind := _common(kinds[name], texts.get(name), mixed)) is not None
    }


def _kinds(column: pd.Series[Any]) -> set[str]:
    """Return what is in a column: int, negative, uint, float, bool, text, missing."""
    kind = column.dtype.kind
    gaps = {"missing"} if kind not in "iub" and column.isna().any() else set()
    if kind == "u":  # beyond 64 bits with a sign
        return {"uint"}
    if kind == "i":
        return {"negative" if len(column) and column.min() < 0 else "int"}
    if kind == "b":
        return {"bool"}
    present = column.dropna() if gaps else column
    if not len(present):
        return gaps
    if kind == "f":
        return {"float", *gaps}
    return {"bool" if all(isinstance(v, bool) for v in present.head(1)) else "text", *gaps}


def _common(kinds: set[str], text: Any, mixed: str | None) -> Any:
    import pandas as pd

    if kinds <= {"bool", "missing"} or kinds <= {"text", "missing"} or len(kinds) == 1:
        return text
    if kinds <= {"int", "negative"}:
        return None
    if kinds <= {"int", "uint"}:
        return "uint64"
    if kinds <= {"int", "negative", "uint", "float", "missing"}:
        return "float64"
    return mixed or (pd.Series(["text"]).dtype if text is None else text)
