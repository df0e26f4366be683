"""Points as bytes, and back: pure."""

from __future__ import annotations

import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbtrack import packing
from nbtrack.errors import IntegrityError
from nbtrack.packing import HEADER, decode, decode_arrays, encode

LOW, HIGH = -(2**63), 2**63 - 1
whole = st.integers(LOW, HIGH) | st.integers(-3, 3) | st.sampled_from([LOW, HIGH, 0])


def bits(pattern: int) -> float:
    """Return the float of a bit pattern: also NaN with a payload."""
    return float(struct.unpack("<d", struct.pack("<Q", pattern))[0])


floats = st.integers(0, 2**64 - 1).map(bits) | st.sampled_from([math.inf, -math.inf, 0.0, -0.0])
points = st.lists(st.tuples(whole, whole, floats), min_size=1, max_size=40)


def patterns(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def columns(found: list[tuple[int, int, float]]) -> tuple[list[int], list[int], list[float]]:
    steps, times, values = (list(column) for column in zip(*found, strict=True))
    return steps, times, values


def assert_same(chunk: bytes, steps: list[int], times: list[int], values: list[float]) -> None:
    assert decode(chunk)[:2] == (steps, times)
    assert patterns(decode(chunk)[2]) == patterns(values)
    as_arrays = decode_arrays([chunk])
    assert [array.dtype for array in as_arrays] == [np.int64, np.int64, np.float64]
    assert as_arrays[0].tolist() == steps
    assert as_arrays[1].tolist() == times
    assert as_arrays[2].astype("<f8").tobytes() == patterns(values)


@given(found=points)
@example(found=[(LOW, HIGH, math.nan), (HIGH, LOW, -0.0)])
@example(found=[(HIGH, HIGH, bits(0x7FF8_DEAD_BEEF_0001))])
@example(found=[(LOW, 0, 0.0), (0, 0, 0.0), (HIGH, 0, 0.0)])
def test_points_come_back(found: list[tuple[int, int, float]]) -> None:
    steps, times, values = columns(found)
    assert_same(encode(steps, times, values), steps, times, values)


@given(
    base=whole, stride=st.integers(-(2**62), 2**62), count=st.integers(1, 30), shifted=st.booleans()
)
@example(base=LOW, stride=2**62, count=4, shifted=False)
@example(base=HIGH, stride=-(2**62), count=4, shifted=True)
@example(base=0, stride=2**32, count=2, shifted=True)
def test_steps_that_are_evenly_spaced_take_no_bytes(
    base: int, stride: int, count: int, shifted: bool
) -> None:
    steps = [step for i in range(count) if LOW <= (step := base + i * stride) <= HIGH]
    values = [0.5] * len(steps)
    chunk = encode(steps, steps, values)
    assert len(chunk) == HEADER.size + 8 * len(steps)
    if shifted and len(steps) > 2 and steps[1] < HIGH:
        steps[1] += 1
    assert_same(encode(steps, steps, values), steps, steps, values)


@given(low=whole, spread=st.lists(st.integers(0, 2**32), min_size=1, max_size=10))
@example(low=LOW, spread=[0, 2**32, 5])
@example(low=LOW, spread=[0, 2**32 - 1, 5])
def test_times_within_fifty_days_take_four_bytes(low: int, spread: list[int]) -> None:
    times = [min(low + more, HIGH) for more in spread]
    steps = list(range(len(times)))
    values = [1.0] * len(times)
    chunk = encode(steps, times, values)
    assert_same(chunk, steps, times, values)
    if max(times) - min(times) < 2**32:
        assert len(chunk) <= HEADER.size + 12 * len(times)


@given(several=st.lists(points, max_size=5))
def test_chunks_one_after_the_other(several: list[list[tuple[int, int, float]]]) -> None:
    arrays = decode_arrays([encode(*columns(found)) for found in several])
    together = [point for found in several for point in found]
    assert arrays[0].tolist() == [step for step, *_ in together]
    assert arrays[1].tolist() == [time for _, time, _ in together]
    assert arrays[2].astype("<f8").tobytes() == patterns([value for *_, value in together])


def test_a_training_loop_takes_12_bytes_a_point() -> None:
    times = [1_700_000_000_000 + 37 * i + i % 5 for i in range(8192)]
    chunk = encode(range(8192), times, [0.1] * 8192)
    assert len(chunk) == HEADER.size + 12 * 8192


def test_a_sweep_without_times_takes_8() -> None:
    assert len(encode(range(0, 800, 8), [5] * 100, [0.1] * 100)) == HEADER.size + 800


# -- hostile bytes


def assert_refused(chunk: bytes) -> None:
    for read in (lambda: decode(chunk), lambda: decode_arrays([chunk])):
        with pytest.raises(IntegrityError, match="is damaged") as caught:
            read()
        assert caught.value.hint


GOOD = encode([1, 2, 4], [5, 9, 6], [0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        GOOD[: HEADER.size],
        GOOD[: HEADER.size - 1],
        b"\2" + GOOD[1:],  # another version
        GOOD[:1] + b"\1" + GOOD[2:],  # another kind of steps
        GOOD[:2] + b"\7" + GOOD[3:],
        HEADER.pack(1, 0, 0, 0, 0, 0, 0, 0),  # of no points
        HEADER.pack(1, 0, 0, 2**32 - 1, 0, 1, 0, 1),  # of more points than there are
        HEADER.pack(1, 8, 8, 2**32 - 1, 0, 1, 0, 1) + bytes(24),
    ],
)
def test_what_is_no_chunk_is_refused(chunk: bytes) -> None:
    assert_refused(chunk)


@given(chunk=st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(chunk: bytes) -> None:
    try:
        steps, times, values = decode(chunk)
    except IntegrityError:
        assert_refused(chunk)
    else:
        assert len(steps) == len(times) == len(values) == len(decode_arrays([chunk])[0])


@given(
    kinds=st.tuples(st.sampled_from([0, 4, 8]), st.sampled_from([0, 4, 8])),
    bases=st.tuples(whole, whole, whole, whole),
    data=st.data(),
)
def test_numbers_beyond_64_bits_are_no_steps(
    kinds: tuple[int, int], bases: tuple[int, int, int, int], data: st.DataObject
) -> None:
    """A base and a stride may be any numbers; both ways of reading say the same of them."""
    count = data.draw(st.integers(1, 4))
    size = count * (8 + sum(kinds))
    rest = data.draw(st.binary(min_size=size, max_size=size))
    chunk = HEADER.pack(1, *kinds, count, *bases) + rest
    try:
        steps, times, values = decode(chunk)
    except IntegrityError:
        assert_refused(chunk)
        return
    assert_same(chunk, steps, times, values)
    assert all(LOW <= number <= HIGH for number in (*steps, *times))


def test_a_chunk_that_claims_to_be_huge_gets_no_memory() -> None:
    tracemalloc.start()
    try:
        assert_refused(HEADER.pack(1, 0, 0, 2**32 - 1, 0, 1, 0, 1) + bytes(1000))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_the_other_byte_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that is not little-endian: what is swapped twice is the same again."""
    monkeypatch.setattr(packing, "_LITTLE", False)
    found = ([1, 5, 3], [2**40, 7, 8], [0.5, 0.25, 0.125])
    chunk = encode(*found)
    assert decode(chunk) == found
    monkeypatch.undo()
    assert chunk != encode(*found)
    assert struct.unpack_from(">3d", chunk, HEADER.size) == (0.5, 0.25, 0.125)
