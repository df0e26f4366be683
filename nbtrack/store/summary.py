"""What is kept of a metric besides its points: pure, so that no database is needed to test it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Place = tuple[int, int, float]
"""Step, timestamp and value of a point: what points are ordered by."""


@dataclass(slots=True)
class Summary:
    """First, last, min, max and count of the points of one metric.

    ``first`` and ``last`` belong to the smallest and the greatest (step, timestamp, value), in
    whatever order the points came, as MLflow has it. ``min`` and ``max`` leave NaN out as long as
    there is a number.
    """

    first: Place
    last: Place
    min: float
    max: float
    count: int

    @classmethod
    def of(
        cls, steps: Sequence[int], timestamps: Sequence[int], values: Sequence[float]
    ) -> Summary:
        """Return the summary of points, at least one.

        Examples
        --------
        >>> Summary.of([0, 1, 2], [5, 5, 5], [0.5, 0.125, 0.25])
        Summary(first=(0, 5, 0.5), last=(2, 5, 0.25), min=0.125, max=0.5, count=3)
        """
        low, high = min(steps), max(steps)
        # Training loops count upwards: then no point needs to be compared with another.
        if steps[0] == low and steps[-1] == high and steps.count(low) == steps.count(high) == 1:
            first = (low, timestamps[0], values[0])
            last = (high, timestamps[-1], values[-1])
        else:
            places = list(zip(steps, timestamps, values, strict=True))
            first, last = min(places, key=_key), max(places, key=_key)
        numbers = values
        if math.isnan(sum(values)):  # there is a NaN, or infinities of both signs
            numbers = [value for value in values if not math.isnan(value)] or [math.nan]
        return cls(first, last, min(numbers), max(numbers), len(values))

    def merge(self, other: Summary) -> None:
        """Take the points of another summary in."""
        self.first = min(self.first, other.first, key=_key)
        self.last = max(self.last, other.last, key=_key)
        if math.isnan(self.min):
            self.min, self.max = other.min, other.max
        elif not math.isnan(other.min):
            self.min, self.max = min(self.min, other.min), max(self.max, other.max)
        self.count += other.count


def _key(place: Place) -> tuple[int, int, bool, float]:
    # NaN sorts after every number, so that the order is total.
    step, timestamp, value = place
    return step, timestamp, math.isnan(value), 0.0 if math.isnan(value) else value
