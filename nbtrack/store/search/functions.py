"""What SQLite lacks for a search, as Python functions and patterns."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from nbtrack.db import Connection


def register(conn: Connection) -> None:
    """Add the functions that compiled searches call to a connection.

    Parameters
    ----------
    conn
        Any connection that runs the SQL of :mod:`nbtrack.store.search`.
    """
    conn.create_function("regexp", 2, _regexp, deterministic=True)  # what X REGEXP Y calls
    conn.create_function("ilike", 2, _ilike, deterministic=True)


@lru_cache(maxsize=64)
def compile_regex(pattern: str) -> re.Pattern[str]:
    """Return a compiled regular expression; what Python warns of in it is the user's affair.

    Raises
    ------
    re.error, OverflowError, RecursionError
        It is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(pattern)


def like_to_glob(pattern: str) -> str:
    """Return a LIKE pattern as the GLOB pattern that means the same, case and all.

    Examples
    --------
    >>> like_to_glob("a_b%[*]")
    'a?b*[[][*]]'
    """
    special = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(special.get(character, character) for character in pattern)


@lru_cache(maxsize=64)
def like_to_regex(pattern: str) -> re.Pattern[str]:
    """Return a LIKE pattern as a regular expression for `fullmatch`, blind to case."""
    first, *others = (
        "".join("." if c == "_" else re.escape(c) for c in part) for part in pattern.split("%")
    )
    if not others:
        return re.compile(first, re.IGNORECASE | re.DOTALL)
    # Atomic groups: what the first fitting place cannot do, no later one can. Without them,
    # '%a%a%a%a%' would try all ways.
    middle = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    return re.compile(f"{first}{middle}.*{others[-1]}", re.IGNORECASE | re.DOTALL)


def _regexp(pattern: str, text: str | None) -> bool | None:
    return None if text is None else compile_regex(pattern).search(text) is not None


def _ilike(pattern: str, text: str | None) -> bool | None:
    return None if text is None else like_to_regex(pattern).fullmatch(text) is not None
