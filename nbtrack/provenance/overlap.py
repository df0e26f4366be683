"""Rows that two pieces of data have in common, found by hashes of rows.

Nothing is changed, and nothing kept but hashes where somebody wants these. A number is the same
number whatever holds it (an array, a frame, a sparse matrix; float32 in both), so data that was
converted in between is still known. Above a budget only evenly spread rows are looked at, and the
count is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_BUDGET = 1_000_000
"""Values that are hashed, of both together: some 50 ms on a busy machine."""
_ROW = 25  # sorting and finding a row costs as much as hashing so many values
_TEST_SHARE = 4  # at most the fourth part of the budget goes to the second of them
_MAX_REPEATED = 0.1
_MAX_COLUMNS = 300  # of several types, which are hashed one by one
_WHOLE = 2.0**62  # floats below are whole numbers of 64 bits, if they are whole


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many rows are in the other data, too.

    Parameters
    ----------
    common
        Rows that are in both.
    rows
        Rows that were looked at.
    sampled
        Whether rows of either data were left out: there may be more in common.
    repeated
        The share of the rows of the first data that stand in it more than once.
    """

    common: int
    rows: int
    sampled: bool
    repeated: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What is known of the rows of data that may be gone.

    Parameters
    ----------
    hashes
        Of the rows that were looked at.
    shape
        Of the data: rows and columns.
    sampled
        Whether rows were left out.
    """

    hashes: Any
    shape: tuple[int, int]
    sampled: bool


def overlap(train: Any, test: Any, *, budget: int = _BUDGET) -> Overlap | None:
    """Return how many rows of `test` are rows of `train`.

    Parameters
    ----------
    train, test
        numpy arrays, pandas or polars frames, scipy sparse matrices, lists of rows or texts: of as
        many columns each; or what `rows_of` has told of them.
    budget
        How many values may be hashed, or rows with many of them compared.

    Returns
    -------
    Overlap or None
        None where it cannot be known: other kinds of data; and where it would say nothing, because
        more than a tenth of the rows of `train` stand in it more than once.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.arange(12.0).reshape(6, 2)
    >>> overlap(rows[:4], rows[3:])
    Overlap(common=1, rows=3, sampled=False, repeated=0.0)
    """
    train_shape, test_shape = (x.shape if isinstance(x, Rows) else _shape(x) for x in (train, test))
    if train_shape is None or test_shape is None:
        return None
    (n_train, columns), (n_test, test_columns) = train_shape, test_shape
    if columns != test_columns or not (n_train and n_test and columns):
        return None
    allowed = budget // (columns + _ROW)
    asked = _rows(test, test_shape, allowed // _TEST_SHARE)
    known = None if asked is None else _rows(train, train_shape, allowed - len(asked.hashes))
    if asked is None or known is None:
        return None

    import numpy as np

    unique = np.unique(known.hashes)
    repeated = 1 - len(unique) / len(known.hashes)
    if repeated > _MAX_REPEATED:
        return None
    common = int(np.isin(asked.hashes, unique).sum())
    return Overlap(common, len(asked.hashes), known.sampled or asked.sampled, repeated)


def rows_of(data: Any, *, budget: int) -> Rows | None:
    """Return hashes of the rows of data, for `overlap` when the data is gone; None for others.

    Examples
    --------
    >>> import numpy as np
    >>> rows_of(np.eye(3), budget=1000).shape
    (3, 3)
    """
    shape = _shape(data)
    if shape is None or not all(shape):
        return None
    return _rows(data, shape, budget // (shape[1] + _ROW))


def _rows(data: Any, shape: tuple[int, int], allowed: int) -> Rows | None:
    if isinstance(data, Rows):
        return data
    step = _step(shape[0], allowed)
    hashes = row_hashes(data, step)
    return None if hashes is None else Rows(hashes, shape, step > 1)


def _step(rows: int, allowed: int) -> int:
    return max(1, -(-rows // max(1, allowed)))


def _shape(data: Any) -> tuple[int, int] | None:
    kind = type(data).__module__.partition(".")[0]
    shape = getattr(data, "shape", None) if kind in _HASHES else None
    if isinstance(data, list | tuple) and data:
        first = data[0]
        shape = (len(data),) if isinstance(first, str) else (len(data), _length(first))
    if not isinstance(shape, tuple) or len(shape) not in {1, 2}:
        return None
    return int(shape[0]), int(shape[1]) if len(shape) == 2 else 1  # noqa: PLR2004 - and columns


def _length(row: Any) -> int:
    return len(row) if isinstance(row, list | tuple) else 0


def row_hashes(data: Any, step: int = 1) -> Any | None:
    """Return a 64-bit hash of each `step`-th row as an array; None for data that has none.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> dense = np.array([[0, 1.5], [2, 0]])
    >>> bool((row_hashes(dense) == row_hashes(csr_array(dense))).all())
    True
    """
    function = _HASHES.get(type(data).__module__.partition(".")[0])
    return None if function is None else function(data, step)


def _numpy(data: Any, step: int) -> Any | None:
    rows = data[::step]
    if data.ndim == 1 or data.dtype.kind not in "biuf":
        return _texts(rows.tolist()) if data.ndim == 1 else None
    return _dense(rows)


def _list(data: Any, step: int) -> Any | None:
    import numpy as np

    if isinstance(data[0], str):
        return _texts(list(data[::step]))
    try:
        rows = np.asarray(data[::step])
    except ValueError:  # rows of several lengths
        return None
    return _numpy(rows, 1) if rows.ndim == 2 else None  # noqa: PLR2004 - rows and columns


def _texts(values: list[Any]) -> Any | None:
    """Return the hashes of texts; None of anything else: a column of numbers is no data."""
    import numpy as np

    if not values or not all(isinstance(value, str) for value in values):
        return None
    hashes = np.fromiter(map(hash, values), np.int64, len(values))
    return _mixed(hashes.view(np.uint64))


def _dense(rows: Any) -> Any:
    import numpy as np

    return _cells(rows, np.arange(rows.shape[1])).sum(axis=1, dtype=np.uint64)


def _pandas(data: Any, step: int) -> Any | None:
    if not hasattr(data, "columns"):
        return _texts(data.iloc[::step].tolist()) if data.ndim == 1 else None
    rows, kinds = data.iloc[::step], set(data.dtypes)
    if len(kinds) == 1 and (kind := kinds.pop()).kind in "biuf" and _is_plain(kind):
        return _dense(rows.to_numpy())
    return _by_column([rows.iloc[:, place] for place in range(rows.shape[1])], _pandas_column)


def _is_plain(dtype: Any) -> bool:
    """Whether a type is numpy's: those of pandas' own may have gaps."""
    return type(dtype).__module__.partition(".")[0] == "numpy"


def _pandas_column(column: Any) -> Any | None:
    if getattr(column.dtype, "kind", "O") in "biuf":
        return column.to_numpy(dtype="float64", na_value=float("nan"))
    from pandas.util import hash_pandas_object  # it is imported already: the data is pandas'

    return hash_pandas_object(column, index=False, categorize=True).to_numpy()


def _polars(data: Any, step: int) -> Any | None:
    if type(data).__name__ == "Series":
        return _texts(data.gather_every(step).to_list())
    if type(data).__name__ != "DataFrame":
        return None
    return _by_column(data.gather_every(step).get_columns(), _polars_column)


def _polars_column(column: Any) -> Any:
    if column.dtype.is_numeric() or type(column.dtype).__name__ == "Boolean":
        return column.cast(_class_of(column, "Float64")).to_numpy()
    return column.hash().to_numpy()


def _class_of(value: Any, name: str) -> Any:
    """Return a class of the library that `value` is of, which is imported already."""
    import sys

    return getattr(sys.modules[type(value).__module__.partition(".")[0]], name)


def _by_column(columns: list[Any], to_array: Any) -> Any | None:
    import numpy as np

    if len(columns) > _MAX_COLUMNS:
        return None
    total = None
    for place, column in enumerate(columns):
        try:
            cells = _cells(to_array(column), np.array([place]))
        except (TypeError, ValueError):  # lists or dicts in a column have no hash
            return None
        total = cells if total is None else total + cells
    return total


def _sparse(data: Any, step: int) -> Any | None:
    import numpy as np

    if data.dtype.kind not in "biuf":
        return None
    rows = data.tocsr()[::step]
    cells = _mixed(_bits(rows.data) ^ _mixed(_places(rows.indices)))
    cells[rows.data == 0] = 0
    ends = np.concatenate([np.zeros(1, np.uint64), np.cumsum(cells, dtype=np.uint64)])
    return ends[rows.indptr[1:]] - ends[rows.indptr[:-1]]


def _cells(values: Any, places: Any) -> Any:
    """Return the hashes of values in columns; that of zero is zero, as in sparse data."""
    cells = _mixed(_bits(values) ^ _mixed(_places(places)))
    cells[values == 0] = 0
    return cells


def _bits(values: Any) -> Any:
    """Return whole numbers as they are, others as the bits of their float32."""
    import numpy as np

    if values.dtype.kind in "biu":
        return values.astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore", invalid="ignore"):
        bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
        bits[np.isnan(values)] = 0  # of all that are none, one
        bits |= np.uint64(1 << 63)
        whole = (values == np.floor(values)) & (np.abs(values) < _WHOLE)
        bits[whole] = values[whole].astype(np.int64).view(np.uint64)
    return bits


def _places(places: Any) -> Any:
    import numpy as np

    return places.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)


def _mixed(bits: Any) -> Any:
    """Return numbers in which each bit depends on all of the given ones (splitmix64)."""
    import numpy as np

    bits = bits.copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits


_HASHES = {
    "builtins": _list,
    "numpy": _numpy,
    "pandas": _pandas,
    "polars": _polars,
    "scipy": _sparse,
}
