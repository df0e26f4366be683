"""Was a metric computed on data that the model had seen? If so, the run says it to people.

The data are compared once for each pair, as the first metric of them comes; what is large is
sampled, so that it takes some 50 ms at most. Nothing is kept of them but weak references.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

from nbtrack.autologging.integration import TrackedRun

Ref = weakref.ref[Any] | None


@dataclass
class _Noted:
    """What was said of a run."""

    compared: list[tuple[Ref, Ref, bool]] = field(default_factory=list)
    metrics: dict[str, None] = field(default_factory=dict)
    overlaps: dict[str, str] = field(default_factory=dict)


_noted: weakref.WeakKeyDictionary[TrackedRun, _Noted] = weakref.WeakKeyDictionary()


def check(run: TrackedRun, metric: str, train: Ref, test: Ref, name: str | None) -> None:
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
    >>> import numpy as np, weakref
    >>> from nbtrack.testing.fakes import FakeTracker
    >>> run, X = FakeTracker().begin_run("Ridge"), np.arange(6.0).reshape(3, 2)
    >>> check(run, "r2_score_X", weakref.ref(X), weakref.ref(X), "X")
    >>> run.tags
    {'nbtrack.notice.training_metric': 'Computed on the data that was fitted: r2_score_X.'}
    """
    fitted, asked = train and train(), test and test()
    if fitted is None or asked is None:
        return
    noted = _noted.setdefault(run, _Noted())
    known = next((is_same for a, b, is_same in noted.compared if a is train and b is test), None)
    if known is None:
        known = _compare(run, noted, fitted, asked, name or "the data")
        noted.compared.append((train, test, known))
    if known and metric not in noted.metrics:
        noted.metrics[metric] = None
        text = f"Computed on the data that was fitted: {', '.join(noted.metrics)}."
        run.set_tags({"nbtrack.notice.training_metric": text})


def _compare(run: TrackedRun, noted: _Noted, fitted: Any, asked: Any, name: str) -> bool:
    """Say how many rows are the same; return whether it is the very data."""
    if fitted is asked:
        return True
    from nbtrack.provenance.overlap import overlap

    found = overlap(fitted, asked)
    if found is None or not found.common:
        return False
    if found.common == found.rows and asked.shape == fitted.shape:
        return True
    least, of = ("At least ", " that were looked at") if found.sampled else ("", "")
    noted.overlaps[name] = (
        f"{least}{found.common:,} of the {found.rows:,} rows of {name}{of} were in the training "
        "data."
    )
    run.set_tags({"nbtrack.notice.leakage": " ".join(noted.overlaps.values())})
    return False


def forget() -> None:
    """Forget what was compared."""
    _noted.clear()
