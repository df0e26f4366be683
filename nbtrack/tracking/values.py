"""What users log, as it is stored: texts, numbers, places. Pure.

Scalars of numpy, torch and the like are the number that they hold; none of these is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.provenance import redact_value

_PLAIN = frozenset({float, int, bool, type(None)})
_DEEP, _LONG = 5, 1_000  # containers beyond that keep the text that Python gives them


def to_key(key: Any) -> str:
    """Return the name of a param, metric or tag as text.

    Raises
    ------
    InvalidParameterError
        It is empty or None.
    """
    if key is None or key == "":
        raise InvalidParameterError(
            f"{key!r} is no name for a param, metric or tag; use a text.",
            hint="For example: log_metric('loss', 0.5).",
        )
    return str(key)


def to_text(value: Any) -> str:
    """Return the text of a param or tag.

    Examples
    --------
    >>> import numpy as np
    >>> to_text(np.float32(0.1)), to_text([np.float64(0.1), 2])
    ('0.1', '[0.1, 2]')
    """
    if type(value) is str:
        return value
    if type(value) in _PLAIN:
        return str(value)
    try:
        return str(_plain(value))
    except Exception as error:  # noqa: BLE001 - somebody's __repr__; the other params count
        return f"<{type(value).__name__} that has no text: {type(error).__name__}>"


def to_texts(pairs: Any) -> dict[str, str]:
    """Return params or tags as texts, secrets masked.

    Raises
    ------
    InvalidParameterError
        `pairs` is no mapping; a key is empty.
    """
    if not isinstance(pairs, Mapping):
        raise InvalidParameterError(
            f"A {type(pairs).__name__} was given for params or tags; use a dict.",
            hint="For example: log_params({'alpha': 0.1}).",
        )
    return masked((to_key(key), to_text(value)) for key, value in pairs.items())


def masked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return texts by key, secrets masked."""
    return {key: redact_value(key, text) for key, text in pairs}


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value with the scalars of libraries in it as numbers."""
    kind = type(value)
    if depth < _DEEP:
        if kind in {list, tuple, set} and len(value) <= _LONG:
            return kind(_plain(item, depth + 1) for item in value)
        if kind is dict and len(value) <= _LONG:
            return {key: _plain(item, depth + 1) for key, item in value.items()}
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        number = value.item()
        if type(number) is float and type(value).__module__.partition(".")[0] == "numpy":
            return float(str(value))  # the shortest text: 0.1, and not 0.10000000149011612
        is_time = getattr(getattr(value, "dtype", None), "kind", "") in {"m", "M"}
        return value if is_time else number
    return value


def to_float(key: str, value: Any) -> float:
    """Return the value of a metric.

    Raises
    ------
    InvalidParameterError
        It is no number.
    """
    try:
        if isinstance(value, (str, bytes, bytearray)):
            raise TypeError  # `float` reads numbers out of text: more often a mistake than meant
        shape = getattr(value, "shape", None)
        if shape is not None and math.prod(shape) == 1 and hasattr(value, "item"):
            value = value.item()  # an array of one number; a tensor warns of `float` itself
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # torch has errors of its own
        raise InvalidParameterError(
            f"The metric {key!r} cannot have the value {_short(value)}, a {type(value).__name__}.",
            hint="Metrics are numbers; texts go to log_param or set_tag.",
        ) from None
    except OverflowError:  # an int beyond any float
        return math.inf if value > 0 else -math.inf


def to_int(name: str, value: Any) -> int:
    """Return the step or timestamp of a metric.

    Raises
    ------
    InvalidParameterError
        It is no whole number of 64 bits.
    """
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not -(2**63) <= number < 2**63:
        raise InvalidParameterError(
            f"The {name} of a metric cannot be {_short(value)}.",
            hint="Use a whole number of 64 bits.",
        )
    return number


def _short(value: object) -> str:
    text = to_text(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004 - a line of a message
