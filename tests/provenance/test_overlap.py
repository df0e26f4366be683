"""Rows in common: of all kinds of data, whatever holds them; and within a time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix

from nbtrack.provenance.overlap import Overlap, overlap, row_hashes, rows_of

KINDS = [
    np.asfortranarray,
    np.float32,
    pd.DataFrame,
    lambda a: pd.DataFrame(a).astype("Float64"),
    pl.DataFrame,
    csr_array,
    csc_array,
    coo_array,
    csr_matrix,
    lambda a: a.tolist(),
    lambda a: [tuple(row) for row in a],
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_in_another_form(kind: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows[rows < -0.5] = 0
    assert overlap(rows[:40], kind(rows[30:])) == Overlap(10, 20, sampled=False)
    assert overlap(kind(rows[:40]), rows[40:]) == Overlap(0, 10, sampled=False)


FLOATS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, float("nan")])


@given(st_np.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=FLOATS))
def test_hashes_are_those_of_equal_rows(rows: Any) -> None:
    hashes = row_hashes(rows)
    assert hashes is not None
    for other in (row_hashes(pd.DataFrame(rows)), row_hashes(csr_array(rows))):
        np.testing.assert_array_equal(hashes, other)
    same = [[np.array_equal(a, b, equal_nan=True) for b in rows] for a in rows]
    np.testing.assert_array_equal(hashes[:, None] == hashes[None, :], same)


def test_large_whole_numbers_are_told_apart() -> None:
    ids = np.arange(2**53, 2**53 + 20)[:, None]
    assert overlap(ids[:10], pd.DataFrame(ids[9:])) == Overlap(1, 11, sampled=False)


def test_texts_and_missing_values() -> None:
    frame = pd.DataFrame({"city": ["Rome", None, "Oslo", "Bonn"], "n": [1, 2, 3, 4]})
    assert overlap(frame[:3], frame[2:]) == Overlap(1, 2, sampled=False)
    table = pl.DataFrame({"city": ["Rome", None, "Oslo", "Bonn"], "n": [1, 2, 3, 4]})
    assert overlap(table[:3], table[2:]) == Overlap(1, 2, sampled=False)
    assert overlap(frame.assign(n=[[1], [2], [3], [4]]), frame) is None


def test_columns_of_texts() -> None:
    texts = ["a", "b", "c", "d"]
    for kind in (list, pd.Series, pl.Series, np.array, lambda t: np.array(t, object)):
        assert overlap(texts[:3], kind(texts[2:])) == Overlap(1, 2, sampled=False)
    assert overlap(texts, ["a", None]) is None
    assert overlap(texts, pd.Series([1.0, 2.0])) is None


def test_rows_whose_data_is_gone() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4))
    known = rows_of(rows[:40], budget=10_000)
    assert known is not None
    assert (known.shape, known.sampled) == ((40, 4), False)
    assert overlap(known, rows[30:]) == overlap(rows[:40], rows_of(rows[30:], budget=10_000))
    assert overlap(known, rows_of(rows[30:, :3], budget=10_000)) is None
    few = rows_of(rows, budget=290)
    assert few is not None
    assert (len(few.hashes), few.sampled) == (10, True)
    assert rows_of(object(), budget=10) is None


def test_columns_and_places_count() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert overlap(rows, rows[:, ::-1]) == Overlap(0, 2, sampled=False)
    assert overlap(rows, rows[:, :1]) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [1.0],
        [[1.0], [1.0, 2.0]],
        [["a"]],
        [[]],
        "text",
        np.zeros(3),
        np.zeros((0, 2)),
        np.array([["a"]]),
        object(),
    ],
)
def test_what_has_no_rows(data: Any) -> None:
    assert overlap(data, np.ones((2, 1))) is None
    assert overlap(np.ones((2, 1)), data) is None


def test_data_that_repeats_itself_says_nothing() -> None:
    rows = np.tile([[0.0, 1.0], [1.0, 0.0]], (10, 1))
    assert overlap(rows, rows[:2]) is None


def test_much_data_is_sampled_in_time() -> None:
    rows = np.random.default_rng(0).normal(size=(400_000, 50))
    before = time.thread_time()
    found = overlap(rows, rows[::2])
    assert time.thread_time() - before < 1  # about 0.05 on a machine with nothing else to do
    assert found is not None
    assert found.sampled
    assert found.rows <= 4_000


def test_nothing_is_changed() -> None:
    rows = np.array([[-0.0, np.nan], [1.0, 2.0]])
    kept = rows.copy()
    overlap(rows, rows)
    assert rows.tobytes() == kept.tobytes()
