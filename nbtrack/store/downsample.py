"""Fewer points of a long history, with every peak still there: pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtrack.types import MetricSeries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def downsample(series: MetricSeries, max_points: int) -> MetricSeries:
    """Return about `max_points` points: of each stretch the smallest and the largest value.

    Parameters
    ----------
    series
        Points in the order of their steps.
    max_points
        At least 4. The first and the last point are always kept.

    Returns
    -------
    MetricSeries
        At most ``max_points + 2`` points, in order; the series itself if it has no more.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.zeros(1000)
    >>> values[500] = 9.0
    >>> few = downsample(MetricSeries("r", "loss", np.arange(1000), np.arange(1000), values), 10)
    >>> len(few.values) <= 12, few.values.max(), few.steps[few.values.argmax()]
    (True, np.float64(9.0), np.int64(500))
    """
    import numpy as np

    n = len(series.values)
    if n <= max_points:
        return series
    stretches = max(max_points // 2, 1)
    size = -(-n // stretches)
    full = n // size * size
    whole, rest = series.values[:full].reshape(-1, size), series.values[full:]
    starts = np.arange(len(whole)) * size
    keep = [np.array([0, n - 1])]
    for values, offsets in ((whole, starts), (rest.reshape(1, -1), np.array([full]))):
        if values.size:
            keep += [offsets + _extreme(values, np.argmin), offsets + _extreme(values, np.argmax)]
    order = np.unique(np.concatenate(keep))
    return MetricSeries(
        series.run_id,
        series.key,
        series.steps[order],
        series.timestamps[order],
        series.values[order],
    )


def _extreme(values: NDArray[np.float64], which: Callable[..., Any]) -> NDArray[np.int64]:
    """Return where each row has its smallest or largest number, NaN left out."""
    import numpy as np

    places: NDArray[np.int64] = which(values, axis=1)
    # Both functions stop at a NaN: only the rows that have one are looked at again.
    found = values[np.arange(len(values)), places]
    for row in np.flatnonzero(np.isnan(found)):
        numbers = np.flatnonzero(~np.isnan(values[row]))
        if numbers.size:
            places[row] = numbers[which(values[row, numbers])]
    return places
