"""Points of a metric as bytes: what a row of ``metric_chunks`` holds. Pure.

A chunk is a header and three columns, all little-endian::

    byte 0      version, 1
    byte 1      how steps are stored: 0 evenly spaced, 4 as uint32, 8 as int64
    byte 2      how timestamps are stored: likewise
    byte 3      0
    4..8        count, uint32
    8..16       step base, int64          16..24   step stride, int64
    24..32      timestamp base, int64     32..40   timestamp stride, int64
    40..        values, float64 each; then steps; then timestamps

An evenly spaced column takes no bytes: its i-th number is ``base + i * stride``. As uint32 it is
``base + number``. Points stand in the order in which they came. A training loop that logs every
step takes 12 bytes a point: the value, and when it was logged.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.errors import IntegrityError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER = struct.Struct("<BBBxIqqqq")
_VERSION = 1
_EVEN, _U32, _I64 = 0, 4, 8
_CODES = {_U32: "I", _I64: "q"}
_LITTLE = sys.byteorder == "little"


def encode(steps: Sequence[int], timestamps: Sequence[int], values: Sequence[float]) -> bytes:
    """Return points as the bytes of a chunk.

    Parameters
    ----------
    steps, timestamps
        Whole numbers of 64 bits, in any order; at least one.
    values
        As many floats; NaN and infinities stay what they are.

    Examples
    --------
    >>> chunk = encode([0, 1, 2], [5, 5, 9], [0.5, 0.25, 0.125])
    >>> len(chunk) - HEADER.size  # three values, and three times
    36
    >>> decode(chunk)
    ([0, 1, 2], [5, 5, 9], [0.5, 0.25, 0.125])
    """
    step_kind, step_base, step_stride, step_bytes = _pack(steps)
    time_kind, time_base, time_stride, time_bytes = _pack(timestamps)
    return b"".join(
        (
            HEADER.pack(
                _VERSION,
                step_kind,
                time_kind,
                len(values),
                step_base,
                step_stride,
                time_base,
                time_stride,
            ),
            _bytes(array("d", values)),
            step_bytes,
            time_bytes,
        )
    )


def decode(chunk: bytes) -> tuple[list[int], list[int], list[float]]:
    """Return steps, timestamps and values of a chunk.

    Raises
    ------
    IntegrityError
        The bytes are no chunk.
    """
    count, steps, times = _layout(chunk)
    values = _numbers("d", chunk[HEADER.size : HEADER.size + 8 * count])
    return _unpack(chunk, count, steps), _unpack(chunk, count, times), values


def decode_arrays(
    chunks: Sequence[bytes],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return steps, timestamps and values of chunks, one after the other, without an object each.

    Raises
    ------
    IntegrityError
        The bytes of one are no chunk.
    """
    import numpy as np

    layouts = [_layout(chunk) for chunk in chunks]
    total = sum(count for count, _, _ in layouts)
    steps = np.empty(total, np.int64)
    times = np.empty(total, np.int64)
    values = np.empty(total, np.float64)
    start = 0
    for chunk, (count, step_column, time_column) in zip(chunks, layouts, strict=True):
        end = start + count
        values[start:end] = np.frombuffer(chunk, "<f8", count, HEADER.size)
        _fill(steps[start:end], chunk, step_column)
        _fill(times[start:end], chunk, time_column)
        start = end
    return steps, times, values


def length(chunk: bytes) -> int:
    """Return how many points a chunk has."""
    return _layout(chunk)[0]


def decode_values(chunks: Sequence[bytes]) -> NDArray[np.float64]:
    """Return the values of chunks, one after the other, and nothing else of them.

    Raises
    ------
    IntegrityError
        The bytes of one are no chunk.
    """
    import numpy as np

    return np.concatenate(
        [np.frombuffer(chunk, "<f8", _layout(chunk)[0], HEADER.size) for chunk in chunks]
    )


def decode_places(
    chunk: bytes, places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return steps and timestamps of some points of a chunk, and unpack no others.

    Parameters
    ----------
    places
        Which points: counted from 0.

    Raises
    ------
    IntegrityError
        The bytes are no chunk.
    """
    import numpy as np

    count, *columns = _layout(chunk)
    steps, timestamps = (
        places * stride + base
        if kind == _EVEN
        else np.frombuffer(chunk, _dtype(kind), count, offset)[places].astype(np.int64) + base
        for kind, base, stride, offset in columns
    )
    return steps, timestamps


def counts_upwards(chunks: Sequence[bytes]) -> bool:
    """Return whether the steps of chunks count upwards evenly in each, and from one to the next.

    False says nothing: the steps may go upwards in another way.
    """
    last = None
    for chunk in chunks:
        count, (kind, base, stride, _), _ = _layout(chunk)
        if kind != _EVEN or (stride <= 0 < count - 1) or (last is not None and base <= last):
            return False
        last = base + stride * (count - 1)
    return True


_Column = tuple[int, int, int, int]  # kind, base, stride, offset in the chunk


def _pack(numbers: Sequence[int]) -> tuple[int, int, int, bytes]:
    first = numbers[0]
    stride = numbers[1] - first if len(numbers) > 1 else 0
    last = first + stride * (len(numbers) - 1)
    # `range` compares as fast as C can; it needs a stride that is not 0.
    even = list(range(first, last + stride, stride)) if stride else [first] * len(numbers)
    if numbers[-1] == last and list(numbers) == even and -(2**63) <= stride < 2**63:
        return _EVEN, first, stride, b""
    low, high = min(numbers), max(numbers)
    if high - low < 2**32:
        return _U32, low, 0, _bytes(array("I", [number - low for number in numbers]))
    return _I64, 0, 0, _bytes(array("q", numbers))


def _layout(chunk: bytes) -> tuple[int, _Column, _Column]:
    if len(chunk) >= HEADER.size:
        version, step_kind, time_kind, count, *bases = HEADER.unpack_from(chunk)
        kinds = {_EVEN, *_CODES}
        size = HEADER.size + count * (8 + step_kind + time_kind)
        if (version, size) == (_VERSION, len(chunk)) and {step_kind, time_kind} <= kinds and count:
            start = HEADER.size + 8 * count
            steps = (step_kind, bases[0], bases[1], start)
            times = (time_kind, bases[2], bases[3], start + step_kind * count)
            if _fits(chunk, count, steps) and _fits(chunk, count, times):
                return count, steps, times
    raise IntegrityError(
        "A chunk of metric points in the database is damaged.",
        hint="Take the database from a backup.",
    )


def _fits(chunk: bytes, count: int, column: _Column) -> bool:
    """Return whether all numbers of a column have 64 bits, whatever base and stride say."""
    kind, base, stride, offset = column
    if kind == _EVEN:
        return -(2**63) <= base + (count - 1) * stride < 2**63
    if kind == _I64:
        return base == 0
    if base < 2**63 - 2**32:
        return True
    return bool(base + max(_numbers(_CODES[kind], chunk[offset : offset + kind * count])) < 2**63)


def _unpack(chunk: bytes, count: int, column: _Column) -> list[int]:
    kind, base, stride, offset = column
    if kind == _EVEN:
        return [base + i * stride for i in range(count)]
    numbers: list[int] = _numbers(_CODES[kind], chunk[offset : offset + kind * count])
    return [base + number for number in numbers] if base else numbers


def _fill(target: NDArray[np.int64], chunk: bytes, column: _Column) -> None:
    import numpy as np

    kind, base, stride, offset = column
    if kind == _EVEN:
        target[:] = np.arange(len(target), dtype=np.int64)
        target *= stride
    else:
        target[:] = np.frombuffer(chunk, _dtype(kind), len(target), offset)
    if base:
        target += base


def _dtype(kind: int) -> str:
    return "<u4" if kind == _U32 else "<i8"


def _numbers(code: str, data: bytes) -> list[Any]:
    numbers = array(code)
    numbers.frombytes(data)
    if not _LITTLE:
        numbers.byteswap()
    return numbers.tolist()


def _bytes(numbers: array[Any]) -> bytes:
    if not _LITTLE:
        numbers.byteswap()
    return numbers.tobytes()
