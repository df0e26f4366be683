"""The points of a metric as arrays, whole or fewer of them with every peak still there: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nbtrack import packing
from nbtrack.types import MetricSeries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def unpack_series(
    run_id: str, key: str, chunks: Sequence[bytes], max_points: int | None = None
) -> MetricSeries:
    """Return the points of chunks in the order of their steps, then times, then of their coming.

    Parameters
    ----------
    chunks
        As `nbtrack.packing` makes them, in the order in which they came.
    max_points
        About how many points are wanted; None: all.

    Raises
    ------
    IntegrityError
        One is damaged.
    """
    import numpy as np

    if max_points is not None and packing.counts_upwards(chunks):
        return _sampled(run_id, key, chunks, max_points)
    steps, timestamps, values = packing.decode_arrays(chunks)
    # Compared, not subtracted: a difference of whole numbers of 64 bits may need 65.
    back = steps[1:] < steps[:-1]
    level = steps[1:] == steps[:-1]
    if back.any() or (level & (timestamps[1:] < timestamps[:-1])).any():
        order = np.lexsort((timestamps, steps))  # stable: the order of coming decides last
        steps, timestamps, values = steps[order], timestamps[order], values[order]
    series = MetricSeries(run_id, key, steps, timestamps, values)
    return series if max_points is None else downsample(series, max_points)


def _sampled(run_id: str, key: str, chunks: Sequence[bytes], max_points: int) -> MetricSeries:
    """Return some of the points, looking at steps and times of the chunks that have them only."""
    import numpy as np

    values = packing.decode_values(chunks)
    chosen = places(values, max_points)
    # Where each chunk begins among all points, and among the chosen ones.
    begins = np.cumsum([0, *map(packing.length, chunks)])
    parts = np.searchsorted(chosen, begins)
    columns = [
        packing.decode_places(chunk, chosen[parts[i] : parts[i + 1]] - begins[i])
        for i, chunk in enumerate(chunks)
    ]
    steps, timestamps = (np.concatenate(column) for column in zip(*columns, strict=True))
    return MetricSeries(run_id, key, steps, timestamps, values[chosen])


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
    if len(series.values) <= max_points:
        return series
    chosen = places(series.values, max_points)
    return MetricSeries(
        series.run_id,
        series.key,
        series.steps[chosen],
        series.timestamps[chosen],
        series.values[chosen],
    )


def places(values: NDArray[np.float64], max_points: int) -> NDArray[np.int64]:
    """Return where the points stand that are kept, in order; all of them if there are no more."""
    import numpy as np

    n = len(values)
    if n <= max_points:
        return np.arange(n)
    stretches = max(max_points // 2, 1)
    size = -(-n // stretches)
    full = n // size * size
    rows = [
        (values[:full].reshape(-1, size), np.arange(full // size) * size),
        (values[full:].reshape(1, -1), np.array([full])),
    ]
    keep = [np.array([0, n - 1])]
    for row, starts in rows:
        if row.size:
            keep += [starts + _extreme(row, np.argmin), starts + _extreme(row, np.argmax)]
    return np.unique(np.concatenate(keep))


def _extreme(values: NDArray[np.float64], which: Callable[..., Any]) -> NDArray[np.int64]:
    """Return where each row has its smallest or largest number, NaN left out."""
    import numpy as np

    found: NDArray[np.int64] = which(values, axis=1)
    # Both functions stop at a NaN: only the rows that have one are looked at again.
    extremes = values[np.arange(len(values)), found]
    for row in np.flatnonzero(np.isnan(extremes)):
        numbers = np.flatnonzero(~np.isnan(values[row]))
        if numbers.size:
            found[row] = numbers[which(values[row, numbers])]
    return found
