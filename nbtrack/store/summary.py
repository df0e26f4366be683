"""What is kept of a metric besides its points: pure, so that no database is needed to test it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nbtrack.types import Metric


@dataclass(slots=True)
class Summary:
    """First, last, min, max and count of the points of one metric.

    ``first`` and ``last`` belong to the smallest and the greatest (step, timestamp, value), in
    whatever order the points came, as MLflow has it. ``min`` and ``max`` leave NaN out as long as
    there is a number.
    """

    first: tuple[int, int, float]
    last: tuple[int, int, float]
    min: float
    max: float
    count: int

    @classmethod
    def of(cls, point: Metric) -> Summary:
        """Return the summary of a single point."""
        place = (point.step, point.timestamp, point.value)
        return cls(place, place, point.value, point.value, 1)

    def add(self, points: Iterable[Metric]) -> None:
        """Take more points in."""
        for point in points:
            place = (point.step, point.timestamp, point.value)
            if _key(place) < _key(self.first):
                self.first = place
            if _key(place) > _key(self.last):
                self.last = place
            if not math.isnan(point.value):
                self.min = point.value if math.isnan(self.min) else min(self.min, point.value)
                self.max = point.value if math.isnan(self.max) else max(self.max, point.value)
            self.count += 1


def _key(place: tuple[int, int, float]) -> tuple[int, int, bool, float]:
    # NaN sorts after every number, so that the order is total.
    step, timestamp, value = place
    return step, timestamp, math.isnan(value), 0.0 if math.isnan(value) else value
