"""Fewer points of a long history, with no database."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.store.downsample import downsample
from nbtrack.types import MetricSeries

values = st.one_of(st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0]), st.floats())


def series(numbers: list[float]) -> MetricSeries:
    count = len(numbers)
    return MetricSeries(
        "r", "m", np.arange(count), np.arange(count) * 2, np.array(numbers, np.float64)
    )


@given(numbers=st.lists(values, max_size=300), wanted=st.integers(4, 50))
def test_downsampled_series(numbers: list[float], wanted: int) -> None:
    whole = series(numbers)
    short = downsample(whole, wanted)
    assert len(short.values) <= wanted + 2
    assert len(short.values) == len(short.steps) == len(short.timestamps)
    assert (np.diff(short.steps) > 0).all()
    assert (short.timestamps == 2 * short.steps).all()
    for step, value in zip(short.steps, short.values, strict=True):
        assert repr(float(value)) == repr(numbers[step])
    if len(numbers) <= wanted:
        assert short is whole
        return
    assert (short.steps[0], short.steps[-1]) == (0, len(numbers) - 1)
    real = [value for value in numbers if not math.isnan(value)]
    if real:
        kept = short.values[~np.isnan(short.values)]
        assert (kept.min(), kept.max()) == (min(real), max(real))


@pytest.mark.parametrize("count", [1_000, 996, 21])
def test_every_stretch_keeps_its_peak(count: int) -> None:
    numbers = [0.0] * count
    for i in range(5, count, 100):
        numbers[i] = float(i)
    kept = downsample(series(numbers), 20).values
    assert {float(i) for i in range(5, count, 100)} <= set(kept.tolist())


def test_a_stretch_of_nan_is_left_out() -> None:
    short = downsample(series([1.0] + [math.nan] * 100 + [2.0]), 4)
    assert [value for value in short.values if not math.isnan(value)] == [1.0, 2.0]


def test_numbers_beside_nan_are_kept() -> None:
    numbers = [math.nan] * 100
    numbers[40], numbers[41] = 3.0, -3.0
    kept = downsample(series(numbers), 10).values
    assert {3.0, -3.0} <= set(kept.tolist())
