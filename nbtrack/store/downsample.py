"""Fewer points of a long history, with every peak still there: pure."""

from __future__ import annotations

from nbtrack.types import MetricSeries


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
    >>> long = MetricSeries("r", "loss", list(range(1000)), [0] * 1000, [0.0] * 999 + [9.0])
    >>> len(downsample(long, 10).values) <= 12, downsample(long, 10).values[-1]
    (True, 9.0)
    """
    n = len(series.values)
    if n <= max_points:
        return series
    values = series.values
    buckets = max(max_points // 2, 1)
    keep = {0, n - 1}
    for bucket in range(buckets):
        stretch = range(bucket * n // buckets, (bucket + 1) * n // buckets)
        numbers = [i for i in stretch if values[i] == values[i]]  # NaN is unequal to itself
        if numbers:
            keep.add(min(numbers, key=values.__getitem__))
            keep.add(max(numbers, key=values.__getitem__))
    order = sorted(keep)
    return MetricSeries(
        series.run_id,
        series.key,
        [series.steps[i] for i in order],
        [series.timestamps[i] for i in order],
        [values[i] for i in order],
    )
