"""What candidates of a search are called: by what differs between them, ``C=0.1, kernel=rbf``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAX_NAME = 120
_MAX_VALUE = 30
_MAX_DIGITS = 8


def labels(results: Mapping[str, Any], rows: Sequence[int]) -> Iterator[str]:
    """Yield a name for the candidate in each of some rows of ``cv_results_``; no two are the same.

    Examples
    --------
    >>> params = [{"svc__C": 0.1, "svc__kernel": "rbf"}, {"svc__C": 1 / 3, "svc__kernel": "rbf"}]
    >>> list(labels({"params": params}, [1, 0]))
    ['C=0.3333', 'C=0.1']
    """
    candidates: Sequence[Mapping[str, Any]] = results["params"]
    # Grids of their own have params of their own.
    keys = list(dict.fromkeys(key for candidate in candidates for key in candidate))
    short = _shortened([key for key in keys if _differs(candidates, key)] or keys)
    rounds = results.get("iter")
    seen: set[str] = set()
    for row in rows:
        given = candidates[row]
        parts = [f"{short[key]}={_text(given[key])}" for key in short if key in given]
        if rounds is not None:
            parts.append(f"iter={rounds[row]}")
        name = _cut(", ".join(parts) or f"candidate {row}", _MAX_NAME)
        name = f"{name} ({row})" if name in seen else name
        seen.add(name)
        yield name


def _differs(candidates: Sequence[Mapping[str, Any]], key: str) -> bool:
    first = candidates[0]
    if key not in first:
        return True
    text = _text(first[key])
    return any(key not in other or _text(other[key]) != text for other in candidates)


def _shortened(keys: Sequence[str]) -> dict[str, str]:
    """Return by key its last part, or as many parts as tell it from the others."""
    parts = {key: key.split("__") for key in keys}
    short = {}
    for key, own in parts.items():
        for count in range(1, len(own) + 1):
            tail = own[-count:]
            if all(other[-count:] != tail for at, other in parts.items() if at != key):
                break
        short[key] = "__".join(tail)
    return short


def _text(value: Any) -> str:
    """Return a value as briefly as people would write it."""
    if hasattr(value, "get_params"):
        return type(value).__name__
    if isinstance(value, float) and len(str(value)) > _MAX_DIGITS:
        return f"{value:.4g}"
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else _cut(" ".join(str(value).split()), _MAX_VALUE)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
