"""Summaries and down-sampling, with no database."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.store.downsample import downsample
from nbtrack.store.summary import Summary
from nbtrack.types import Metric, MetricSeries

small = st.integers(-3, 3)  # so that places collide
values = st.one_of(st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0]), st.floats())
points = st.lists(st.builds(Metric, st.just("m"), values, small, small), min_size=1, max_size=12)


def summarize(metrics: list[Metric]) -> str:
    summary = Summary.of(metrics[0])
    summary.add(metrics[1:])
    # Adding zero makes 0.0 of -0.0: they are equal, and so is what is kept.
    numbers = (summary.first[2], summary.last[2], summary.min, summary.max)
    texts = [repr(number + 0.0) for number in numbers]
    return f"{summary.first[:2]} {summary.last[:2]} {texts} {summary.count}"


@given(metrics=points, seed=st.integers(0, 2**32))
def test_the_order_of_points_makes_no_difference(metrics: list[Metric], seed: int) -> None:
    shuffled = list(metrics)
    random.Random(seed).shuffle(shuffled)
    assert summarize(shuffled) == summarize(metrics)


@given(metrics=points)
def test_summary_is_what_sorting_says(metrics: list[Metric]) -> None:
    summary = Summary.of(metrics[0])
    summary.add(metrics[1:])
    order = sorted(metrics, key=lambda m: (m.step, m.timestamp, math.isnan(m.value), m.value))
    numbers = [m.value for m in metrics if not math.isnan(m.value)]
    assert summary.first[:2] == (order[0].step, order[0].timestamp)
    assert summary.last[:2] == (order[-1].step, order[-1].timestamp)
    assert summary.count == len(metrics)
    if numbers:
        assert (summary.min, summary.max) == (min(numbers), max(numbers))
    else:
        assert math.isnan(summary.min)
        assert math.isnan(summary.max)


def series(numbers: list[float]) -> MetricSeries:
    return MetricSeries("r", "m", list(range(len(numbers))), [0] * len(numbers), numbers)


@given(numbers=st.lists(values, max_size=300), wanted=st.integers(4, 50))
def test_downsampled_series(numbers: list[float], wanted: int) -> None:
    whole = series(numbers)
    short = downsample(whole, wanted)
    assert len(short.values) <= max(wanted + 2, 0)
    assert len(short.values) == len(short.steps) == len(short.timestamps)
    assert short.steps == sorted(set(short.steps))
    for step, value in zip(short.steps, short.values, strict=True):
        assert repr(value) == repr(numbers[step])
    if len(numbers) <= wanted:
        assert short is whole
        return
    assert (short.steps[0], short.steps[-1]) == (0, len(numbers) - 1)
    real = [value for value in numbers if not math.isnan(value)]
    if real:
        kept = [value for value in short.values if not math.isnan(value)]
        assert (min(kept), max(kept)) == (min(real), max(real))


def test_every_stretch_keeps_its_peak() -> None:
    numbers = [0.0] * 1_000
    for i in range(5, 1_000, 100):
        numbers[i] = float(i)
    kept = downsample(series(numbers), 20).values
    assert {float(i) for i in range(5, 1_000, 100)} <= set(kept)


def test_a_stretch_of_nan_is_left_out() -> None:
    short = downsample(series([1.0] + [math.nan] * 100 + [2.0]), 4)
    assert short.values == pytest.approx([1.0, 2.0])
