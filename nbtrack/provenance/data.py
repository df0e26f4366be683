"""What is known of data without keeping it: kind, shape, schema, fingerprint.

No data library is imported: an object tells by its own type what it is. A fingerprint covers all
bytes up to `FULL_HASH_BYTES` (some 25 ms) and evenly spread blocks above, and says which. The
limits are sizes and not times, so that the same data has the same fingerprint on a busy machine.
The order of an array in memory makes no difference, unless it is too large to be put into another.
What lies on a device, in a cluster or behind an iterator is not fetched: it has no fingerprint.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from nbtrack.types import Dataset

FULL_HASH_BYTES = 512 * 2**20
COPY_BYTES = 64 * 2**20  # what does not lie in one piece is copied first
REORDER_BYTES = 8 * 2**20  # putting columns into rows takes about half a millisecond a megabyte
_BLOCKS, _BLOCK_BYTES = 64, 4096
_MAX_COLUMNS = 500
_MAX_OBJECTS = 200_000  # some 40 ms
_MAX_HASHED = 10_000_000
_LAZY = {"polars", "dask"}  # asking for their shape could compute them
_PROBE = 100
_SPARSE_PARTS = ("data", "indices", "indptr", "offsets", "row", "col")


def describe(data: object, name: str) -> Dataset:  # noqa: PLR0911 - a return for each kind
    """Return what is known of data.

    Parameters
    ----------
    data
        numpy array, pandas or polars DataFrame or Series, scipy sparse matrix, torch tensor,
        dataset or loader (which is not iterated), dataset of Hugging Face, frame of Spark (which
        is not collected), list, or any other object with or without a shape.
    name
        What the user calls it.

    Examples
    --------
    >>> facts = describe([[1.0, 2.0], [3.0, 4.0]], "X")
    >>> facts.source_type, facts.profile["shape"]
    ('list', [2, 2])
    """
    kind = type(data).__module__.partition(".")[0]
    if kind == "numpy" and hasattr(data, "dtype"):
        return _array(data, name)
    if kind == "pandas" and hasattr(data, "index"):
        return _pandas(data, name)
    if kind == "scipy" and hasattr(data, "nnz"):
        return _sparse(data, name)
    if kind == "polars" and type(data).__name__ in {"DataFrame", "Series"}:
        return _polars(data, name)
    if kind in {"torch", "datasets", "pyspark"}:
        from nbtrack.provenance import remote

        return remote.describe(data, name)
    if hasattr(data, "get_label") and kind in {"xgboost", "lightgbm", "catboost"}:
        from nbtrack.provenance import pools

        return pools.describe(data, name)
    return _other(data, name, kind)


def _array(data: Any, name: str) -> Dataset:
    return Dataset(
        name=name,
        digest=digest_of([data]),
        source_type="numpy",
        schema={"dtype": str(data.dtype)},
        profile={"shape": list(data.shape), "bytes": int(data.nbytes)},
    )


def _pandas(data: Any, name: str) -> Dataset:
    if hasattr(data, "columns"):
        types = data.dtypes.tolist()
        kinds = {id(kind): kind for kind in types}  # a hash could be one of all categories
        texts = {key: str(kind) for key, kind in kinds.items()}  # each takes 5 us
        columns = columns_of(
            (str(column), texts[id(kind)])
            for column, kind in zip(data.columns.tolist(), types, strict=True)
        )
        parts, whole = _column_arrays(data, kinds.values())
        shape = list(data.shape)
    else:
        columns = [{"name": str(data.name), "type": str(data.dtype)}]
        parts, shape, whole = [data.to_numpy()], [len(data)], True
    objects = [part for part in parts if part.dtype.hasobject]
    numbers = [part for part in parts if not part.dtype.hasobject]
    hashes, all_rows = _hashed_objects(objects)
    digest = "" if hashes is None else digest_of([*numbers, *hashes], whole=whole and all_rows)
    return Dataset(
        name=name,
        digest=digest,
        source_type="pandas",
        schema={"columns": columns},
        profile={"shape": shape},
    )


def _column_arrays(frame: Any, kinds: Collection[Any]) -> tuple[list[Any], bool]:
    """Return the columns, which are of these types, as arrays, and whether these are all."""
    width = frame.shape[1]
    if len(kinds) == 1 and getattr(next(iter(kinds)), "kind", "O") in "biufc":
        # Mostly one block, which is not copied; taking its columns one by one costs 30 us each.
        return [frame.to_numpy()], True
    columns = range(min(width, _MAX_COLUMNS))
    return [frame.iloc[:, i].to_numpy() for i in columns], width <= _MAX_COLUMNS


def _hashed_objects(parts: list[Any]) -> tuple[list[Any] | None, bool]:
    """Return columns of Python objects as arrays of hashes, and whether these are of all rows.

    The bytes of such a column are addresses, which say nothing about the text. None where objects
    have no hash.
    """
    if not parts:
        return [], True
    from pandas.util import hash_array  # it is imported already: the data is pandas'

    step = -(-sum(len(part) for part in parts) // _MAX_OBJECTS) or 1
    try:
        return [hash_array(part[::step]) for part in parts], step == 1
    except TypeError:  # lists or dicts in a column have no hash
        return None, False


def _sparse(data: Any, name: str) -> Dataset:
    parts = [getattr(data, part, None) for part in _SPARSE_PARTS]
    arrays = [part for part in parts if part is not None and hasattr(part, "dtype")]
    return Dataset(
        name=name,
        digest=digest_of(arrays),  # none for formats of Python objects: lil, dok
        source_type="scipy.sparse",
        schema={"dtype": str(data.dtype), "format": str(data.format)},
        profile={"shape": list(data.shape), "nnz": int(data.nnz)},
    )


def _polars(data: Any, name: str) -> Dataset:
    series = [data] if type(data).__name__ == "Series" else data.get_columns()
    rows, few = len(data), series[:_MAX_COLUMNS]
    step = -(-rows * len(few) // _MAX_HASHED) or 1
    hashes = [_polars_hashes(one.gather_every(step) if step > 1 else one) for one in few]
    whole = step == 1 and len(few) == len(series)
    digest = "" if any(h is None for h in hashes) else digest_of(hashes, whole=whole)
    return Dataset(
        name=name,
        digest=digest,
        source_type="polars",
        schema={"columns": columns_of((one.name, str(one.dtype)) for one in series)},
        profile={"shape": list(data.shape)},
    )


def _polars_hashes(series: Any) -> Any | None:
    """Return a column as an array: its own where that is free, else hashes of its values."""
    if series.dtype.is_numeric() and not series.null_count() and series.n_chunks() == 1:
        return series.to_numpy()
    # The hashes of Python objects are mostly their addresses.
    return None if type(series.dtype).__name__ == "Object" else series.hash().to_numpy()


def _other(data: object, name: str, kind: str) -> Dataset:
    profile: dict[str, Any] = {}
    shape = None if kind in _LAZY else getattr(data, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
        profile["shape"] = list(shape)
    elif isinstance(data, (list, tuple)):
        profile["shape"] = _list_shape(data)
    source_type = type(data).__name__ if kind == "builtins" else kind
    return Dataset(name, "", source_type, {"type": type(data).__qualname__}, profile)


def _list_shape(data: list[Any] | tuple[Any, ...]) -> list[int]:
    widths = {len(row) for row in data[:_PROBE] if isinstance(row, (list, tuple))}
    return [len(data), widths.pop()] if len(widths) == 1 else [len(data)]


def columns_of(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return names and types of columns as they are stored, of so many at most."""
    return [{"name": name, "type": kind} for name, kind in itertools.islice(pairs, _MAX_COLUMNS)]


def digest_of(arrays: Sequence[Any], *, whole: bool = True) -> str:
    """Return the fingerprint of arrays; empty for none, and for arrays of Python objects."""
    if not arrays or any(array.dtype.hasobject for array in arrays):
        return ""
    pieces = [_in_one_piece(array) for array in arrays]
    whole = whole and all(complete for _, complete in pieces)
    return fingerprint(
        itertools.chain.from_iterable(_buffers(array) for array, _ in pieces), whole=whole
    )


def _in_one_piece(array: Any) -> tuple[Any, bool]:
    """Return an array whose bytes lie in one piece, and whether it has all of them."""
    if array.flags.c_contiguous:
        return array, True
    if array.flags.f_contiguous and array.nbytes > REORDER_BYTES:
        return array, True
    if array.nbytes <= COPY_BYTES:
        return array.copy(order="C"), True
    rows = array.shape[0]
    step = -(-rows // max(1, rows * COPY_BYTES // array.nbytes))
    return array[:: max(step, 1)].copy(order="C"), False


def _buffers(array: Any) -> Iterator[memoryview]:
    """Yield what tells an array from others: shape, type and order, and then its bytes."""
    order = "C" if array.flags.c_contiguous else "F"
    yield memoryview(str((array.shape, array.dtype.str, order)).encode())
    if array.size:
        # Dates and structured types have no buffer of their own; as bytes they do.
        yield memoryview(array.reshape(-1, order=order).view("u1"))


def fingerprint(buffers: Iterable[memoryview], *, whole: bool = True) -> str:
    """Return the digest of buffers: ``xxh3:`` of all bytes, ``xxh3-sampled:`` of some.

    Parameters
    ----------
    buffers
        Hashed whole as long as they have not more than `FULL_HASH_BYTES` together.
    whole
        Whether the buffers are all of the data.

    Examples
    --------
    >>> fingerprint([memoryview(b"abc")])
    'xxh3:06b05ab6733a618578af5f94892f3950'
    """
    import xxhash

    state, left = xxhash.xxh3_128(), FULL_HASH_BYTES
    for buffer in buffers:
        if buffer.nbytes <= max(left, _BLOCKS * _BLOCK_BYTES):
            state.update(buffer)
            left -= buffer.nbytes
            continue
        whole = False
        last = buffer.nbytes - _BLOCK_BYTES
        for block in range(_BLOCKS):
            start = last * block // (_BLOCKS - 1)
            state.update(buffer[start : start + _BLOCK_BYTES])
    return f"{'xxh3' if whole else 'xxh3-sampled'}:{state.hexdigest()}"
