"""What is known of the data structures of boosting libraries, which hold data in a form of theirs.

Asking for all of it would copy it. Evenly spread rows are asked for, and the labels.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from nbtrack.provenance import data as plain
from nbtrack.types import Dataset

_MAX_ROWS = 512


def describe(data: Any, name: str) -> Dataset:
    """Return what is known of a DMatrix of XGBoost, a Dataset of LightGBM or a Pool of CatBoost.

    What cannot be asked for, as of quantiles, is left out; without labels there is no fingerprint.

    Parameters
    ----------
    name
        What the user calls it.
    """
    kind = type(data).__module__.partition(".")[0]
    look = {"xgboost": _of_dmatrix, "lightgbm": _of_dataset, "catboost": _of_pool}[kind]
    shape, names, whole = None, None, False
    parts: list[Any] = []
    with suppress(Exception):  # each of them refuses something, in one state or another
        shape = tuple(map(int, look(data)))
        names = _names(data)
        parts, whole = _parts(data, shape[0], kind)
    digest = plain.digest_of(parts, whole=whole)
    schema: dict[str, Any] = {"type": type(data).__qualname__}
    if names:
        schema["columns"] = plain.columns_of((str(one), "") for one in names)
    profile = {} if shape is None else {"shape": list(shape)}
    return Dataset(name, digest, kind, schema, profile)


def _of_dmatrix(data: Any) -> tuple[int, int]:
    return data.num_row(), data.num_col()


def _of_dataset(data: Any) -> tuple[int, int]:
    return data.num_data(), data.num_feature()


def _of_pool(data: Any) -> tuple[int, int]:
    return data.shape  # type: ignore[no-any-return]


def _names(data: Any) -> Any:
    for attribute in ("feature_names", "get_feature_names", "get_feature_name"):
        found = getattr(data, attribute, None)
        if found is not None:
            return found() if callable(found) else found
    return None


def _parts(data: Any, rows: int, kind: str) -> tuple[list[Any], bool]:
    """Return arrays that tell the data from others, and whether they are all of it."""
    import numpy as np

    parts = [np.asarray(data.get_label())]
    places = list(range(0, rows, -(-rows // _MAX_ROWS) or 1))
    with suppress(Exception):
        if kind == "xgboost":
            sample = data.slice(places).get_data()
            parts += [sample.data, sample.indices, sample.indptr]
        elif kind == "catboost":
            parts.append(np.asarray(data.slice(places).get_features()))
    return parts, len(parts) > 1 and len(places) == rows
