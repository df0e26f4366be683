"""Was a metric computed on data that the model had seen? If so, the run says it to people.

The data are compared once for each pair, as the first metric of them comes; what is large is
sampled, so that it takes some 50 ms at most. Nothing is kept of them but weak references, and
hashes of rows of what has no name.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbtrack.autologging.integration import TrackedRun
from nbtrack.autologging.seen import Seen

if TYPE_CHECKING:
    from nbtrack.provenance.overlap import Overlap


@dataclass
class _Noted:
    """What was said of a run."""

    compared: list[tuple[Seen, object, bool]] = field(default_factory=list)
    metrics: dict[str, None] = field(default_factory=dict)
    overlaps: dict[str, str] = field(default_factory=dict)


_SMALL = 0.1
_MAX_COMPARED = 20  # of a run: a loop over batches need not pay for each of them
_noted: weakref.WeakKeyDictionary[TrackedRun, _Noted] = weakref.WeakKeyDictionary()


def is_new(run: TrackedRun, train: Seen | None, name: str | None) -> bool:
    """Whether no data of that name was compared yet with what was fitted."""
    noted = _noted.get(run)
    return noted is None or _known(noted, train, name) is None


def check(
    run: TrackedRun, metric: str, train: Seen | None, test: Seen | None, name: str | None
) -> None:
    """Set a notice where a metric was computed on rows that were fitted.

    Parameters
    ----------
    run
        The run of the metric.
    metric
        Its key.
    train, test
        What was fitted, and what was predicted.
    name
        What the user calls the latter.

    Examples
    --------
    >>> import numpy as np
    >>> from nbtrack.autologging.seen import see
    >>> from nbtrack.testing.fakes import FakeTracker
    >>> run, X = FakeTracker().begin_run("Ridge"), np.arange(6.0).reshape(3, 2)
    >>> check(run, "r2_score_X", see(X), see(X), "X")
    >>> run.tags
    {'nbtrack.notice.training_metric': 'Computed on the data that was fitted: r2_score_X.'}
    """
    if train is None or test is None:
        return
    noted = _noted.setdefault(run, _Noted())
    # What will be gone, or is, is known by its name only.
    key = name if test.rows is not None or test.value is None else test.reference
    known = _known(noted, train, key)
    if known is None and len(noted.compared) < _MAX_COMPARED:
        known = _compare(run, noted, train, test, name or "the data")
        if known is not None:
            noted.compared.append((train, key, known))
    if known and metric not in noted.metrics:
        noted.metrics[metric] = None
        text = f"Computed on the data that was fitted: {', '.join(noted.metrics)}."
        run.set_tags({"nbtrack.notice.training_metric": text})


def _known(noted: _Noted, train: Seen | None, key: object) -> bool | None:
    """Return what was found of that data: weak references are compared as they are."""
    for fitted, other, is_same in noted.compared:
        if fitted is train and (other is key or (isinstance(key, str) and other == key)):
            return is_same
    return None


def _compare(run: TrackedRun, noted: _Noted, train: Seen, test: Seen, name: str) -> bool | None:
    """Say how many rows are the same; return whether it is the very data, None if it is gone."""
    fitted, asked = train.rows or train.value, test.rows or test.value
    if fitted is None or asked is None:
        return None
    if train.value is not None and train.value is test.value:
        return True
    from nbtrack.provenance.overlap import overlap

    found = overlap(fitted, asked)
    if found is None or not found.common:
        return False
    if found.common == found.rows and asked.shape[0] == fitted.shape[0]:
        return True
    noted.overlaps[name] = _described(found, name)
    run.set_tags({"nbtrack.notice.leakage": " ".join(noted.overlaps.values())})
    return False


def _described(found: Overlap, name: str) -> str:
    least, of = ("At least ", " that were looked at") if found.sampled else ("", "")
    text = (
        f"{least}{found.common:,} of the {found.rows:,} rows of {name}{of} "
        f"({_percent(found.common / found.rows)}) were in the training data"
    )
    if found.repeated:  # then some of that may be natural
        text += f", where {_percent(found.repeated)} of the rows repeat others"
    return f"{text}."


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= _SMALL else f"{share:.1%}"


def forget() -> None:
    """Forget what was compared."""
    _noted.clear()
