"""Digests of data as MLflow computes them, so that the same data has the same digest in both.

They cover the first 10,000 rows and no column of dates: enough to tell datasets apart. nbtrack's
own fingerprint of what a fit saw is in `nbtrack.provenance.data`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from typing import Any

from nbtrack.errors import InvalidParameterError

MAX_ROWS = 10_000


def pandas_digest(frame: Any) -> str:
    """Return the digest of a DataFrame: 8 hex digits.

    Raises
    ------
    InvalidParameterError
        A cell cannot be hashed.
    """
    import numpy as np
    import pandas as pd

    top = frame.head(MAX_ROWS)
    # MLflow looks at all rows to tell columns of text.
    text = frame.columns[[bool(_all_text(frame.iloc[:, i])) for i in range(frame.shape[1])]]
    numbers = top.select_dtypes(include=[np.number]).columns
    try:
        with (
            warnings.catch_warnings()
        ):  # names that have no order: it is MLflow's order all the same
            warnings.simplefilter("ignore", RuntimeWarning)
            columns = text.union(numbers)
        values = pd.util.hash_pandas_object(top[columns]).to_numpy()
    except TypeError as error:
        raise InvalidParameterError(
            f"No digest can be taken of the DataFrame: {error}.",
            hint="Give one: digest='...'.",
        ) from error
    return _md5([values, np.int64(len(frame)), *(str(name).encode() for name in frame.columns)])


def numpy_digest(features: Any, targets: Any = None) -> str:
    """Return the digest of arrays, or dicts of arrays: 8 hex digits.

    Examples
    --------
    >>> import numpy as np
    >>> numpy_digest(np.arange(3.0)) == numpy_digest(np.arange(4.0))
    False
    """
    import numpy as np
    import pandas as pd

    parts: list[Any] = []
    for item in (features, targets):
        if item is None:
            continue
        for array in [item[key] for key in sorted(item)] if isinstance(item, dict) else [item]:
            first = array.flatten()[:MAX_ROWS]
            try:
                parts.append(pd.util.hash_array(first))
            except TypeError:  # lists and dicts in an array have no hash
                parts.append(np.int64(first.size))
            parts.extend(np.int64(length) for length in array.shape)
    if not parts:
        raise InvalidParameterError(
            "There is no array in the features, so no digest can be taken.",
            hint="Give a numpy array, or a dict with one at least.",
        )
    return _md5(parts)


def _all_text(column: Any) -> bool:
    kinds = set(map(type, column.array)) if column.dtype.kind == "O" else {None}
    return kinds <= {str}


def _md5(parts: Iterable[Any]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:8]
