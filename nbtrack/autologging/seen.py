"""Data that a model was given: itself, while it lives; else hashes of its rows, if it had no name.

``model.fit(X[train], y[train])`` makes data that is gone right after the call, and a list cannot
be referred to weakly. What has a name is compared when there is something to compare it with.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtrack.provenance.overlap import Rows

_BUDGET = 200_000  # values that are hashed, some 3 ms


@dataclass(frozen=True, eq=False)
class Seen:
    """Data that somebody has given to a model.

    Parameters
    ----------
    reference
        A weak reference to it, where there can be one.
    rows
        Hashes of its rows, where it will be gone.
    """

    reference: weakref.ref[Any] | None = None
    rows: Rows | None = None

    @property
    def value(self) -> Any:
        """The data, or None if it is gone."""
        return None if self.reference is None else self.reference()


def see(value: object, *, lasting: bool = True, keep: bool = False) -> Seen:
    """Note data that is given to a model.

    Parameters
    ----------
    value
        The data.
    lasting
        Whether somebody has it for longer, as far as is known.
    keep
        Whether its rows are worth their hashes, if nobody has.
    """
    try:
        reference = weakref.ref(value)
    except TypeError:
        reference = None
    if not keep or value is None or (lasting and reference is not None):
        return Seen(reference)
    from nbtrack.provenance.overlap import rows_of

    return Seen(reference, rows_of(value, budget=_BUDGET))
