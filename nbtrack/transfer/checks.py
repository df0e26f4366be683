"""What another file says is looked at before it is believed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from nbtrack.errors import IntegrityError

LAST_MS = 253_000_000_000_000  # within the year 9987: what a calendar of any time zone still has
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


def check_id(value: Any) -> str:
    """Return an id that can stand in a URI and a path.

    Raises
    ------
    IntegrityError
        It is none.

    Examples
    --------
    >>> check_id("0123456789abcdef")
    '0123456789abcdef'
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise IntegrityError(f"{value!r} is no id of nbtrack's.")


def check_object(text: Any) -> str:
    """Return a text that is a JSON object.

    Raises
    ------
    IntegrityError
        It is none.

    Examples
    --------
    >>> check_object('{"a": 1}')
    '{"a": 1}'
    """
    try:
        if isinstance(json.loads(text), dict):
            return str(text)
    except (TypeError, ValueError, RecursionError):
        pass
    raise IntegrityError(f"{str(text)[:80]!r} is no JSON object.")


def check_times(*times: Any) -> None:
    """Refuse what is no time that can be shown; None is none at all.

    Raises
    ------
    IntegrityError
        One of them is.

    Examples
    --------
    >>> check_times(0, 1_700_000_000_000, None)
    """
    for time in times:
        if time is not None and not (isinstance(time, int) and 0 <= time <= LAST_MS):
            raise IntegrityError(f"{time!r} is no time in ms since 1970.")


def check_word(value: Any, words: Collection[str]) -> str:
    """Return a word that is one of some.

    Raises
    ------
    IntegrityError
        It is none of them.

    Examples
    --------
    >>> check_word("input", ("input", "output"))
    'input'
    """
    if isinstance(value, str) and value in words:
        return value
    raise IntegrityError(f"{value!r} is none of {', '.join(words)}.")


def settled(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], later: bool | None
) -> tuple[dict[str, Any], list[str]]:
    """Return what ours gets of theirs, and in what the two differ without one being later.

    What is absent, None or empty in ours is lacking there; what is so in theirs takes no place.

    Parameters
    ----------
    later
        Whether theirs is the later one; None: neither is.

    Examples
    --------
    >>> settled({"a": "1", "b": ""}, {"a": "2", "b": "3", "c": "4"}, later=None)
    ({'b': '3', 'c': '4'}, ['a'])
    >>> settled({"a": "1", "b": "2"}, {"a": "2", "b": ""}, later=True)
    ({'a': '2'}, [])
    """
    gets, differ = {}, []
    for key, value in theirs.items():
        mine = ours.get(key)
        if key not in ours:
            gets[key] = value
        elif mine == value or value in (None, ""):
            continue
        elif later or mine in (None, ""):
            gets[key] = value
        elif later is None:
            differ.append(key)
    return gets, differ


def later(ours: int | None, theirs: int | None) -> bool | None:
    """Return whether theirs is the later one of two times; None: neither is.

    Examples
    --------
    >>> later(1, 2), later(2, None), later(None, None)
    (True, False, None)
    """
    mine, other = ours or 0, theirs or 0
    return None if mine == other else other > mine


def goes_on(longer: list[Any], shorter: list[Any]) -> bool:
    """Return whether a list begins with all of another one.

    Examples
    --------
    >>> goes_on([1, 2, 3], [1, 2]), goes_on([1, 2], [1, 2]), goes_on([1, 3], [1, 2])
    (True, True, False)
    """
    return longer[: len(shorter)] == shorter
