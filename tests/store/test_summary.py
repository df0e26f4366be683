"""What is kept of a metric besides its points, with no database."""

from __future__ import annotations

import itertools
import math
import random

from hypothesis import given
from hypothesis import strategies as st

from nbtrack.store.summary import Summary

small = st.integers(-3, 3)  # so that places collide
values = st.one_of(st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0]), st.floats())
Point = tuple[int, int, float]
points = st.lists(st.tuples(small, small, values), min_size=1, max_size=12)
# What a training loop logs: no point is compared with another then.
loops = st.lists(values, min_size=1, max_size=12).map(
    lambda numbers: [(i, 0, value) for i, value in enumerate(numbers)]
)


def summarize(found: list[Point]) -> Summary:
    steps, timestamps, numbers = (list(column) for column in zip(*found, strict=True))
    return Summary.of(steps, timestamps, numbers)


def text(summary: Summary) -> str:
    # Adding zero makes 0.0 of -0.0: they are equal, and so is what is kept.
    numbers = (summary.first[2], summary.last[2], summary.min, summary.max)
    texts = [repr(number + 0.0) for number in numbers]
    return f"{summary.first[:2]} {summary.last[:2]} {texts} {summary.count}"


@given(found=points | loops, seed=st.integers(0, 2**32))
def test_the_order_of_points_makes_no_difference(found: list[Point], seed: int) -> None:
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    assert text(summarize(shuffled)) == text(summarize(found))


@given(found=points | loops)
def test_summary_is_what_sorting_says(found: list[Point]) -> None:
    summary = summarize(found)
    order = sorted(found, key=lambda p: (p[0], p[1], math.isnan(p[2]), p[2]))
    numbers = [value for *_, value in found if not math.isnan(value)]
    assert (summary.first[:2], summary.last[:2]) == (order[0][:2], order[-1][:2])
    for place, expected in ((summary.first, order[0]), (summary.last, order[-1])):
        assert repr(place[2] + 0.0) == repr(expected[2] + 0.0)
    assert summary.count == len(found)
    if numbers:
        assert (summary.min, summary.max) == (min(numbers), max(numbers))
    else:
        assert math.isnan(summary.min)
        assert math.isnan(summary.max)


@given(found=points | loops, cuts=st.lists(st.integers(1, 11), max_size=3))
def test_summaries_of_parts_make_that_of_the_whole(found: list[Point], cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts) & set(range(1, len(found)))), len(found)]
    parts = [found[a:b] for a, b in itertools.pairwise(places)]
    merged = summarize(parts[0])
    for part in parts[1:]:
        merged.merge(summarize(part))
    assert text(merged) == text(summarize(found))
