"""What was logged and what was not, and why: counted as it happens, shown by ``status``."""

from __future__ import annotations

from collections import Counter

_logged: Counter[tuple[str, str]] = Counter()
_skipped: Counter[tuple[str, str]] = Counter()


def logged(library: str, what: str) -> None:
    """Count something that was logged: ``runs``, ``models`` ..."""
    _logged[library, what] += 1


def skipped(library: str, reason: str) -> None:
    """Count something that was left out. Inner fits come by here: it has to stay this cheap.

    Parameters
    ----------
    reason
        For people, and one of few: no values in it.
    """
    _skipped[library, reason] += 1


def counts(library: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return what was logged of a library, and how often something was left out, by reason.

    Examples
    --------
    >>> from nbtrack.autologging import tally
    >>> tally.skipped("mylib", "inner fit")
    >>> tally.counts("mylib")
    ({}, {'inner fit': 1})
    """
    first, second = (
        {what: n for (name, what), n in list(counter.items()) if name == library}
        for counter in (_logged, _skipped)
    )
    return first, second


def clear() -> None:
    """Begin anew."""
    _logged.clear()
    _skipped.clear()
