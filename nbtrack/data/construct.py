"""``from_pandas`` and the others: datasets of the data at hand, with MLflow's arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbtrack.data.datasets import HuggingFaceDataset, NumpyDataset, PandasDataset, PolarsDataset
from nbtrack.data.sources import HuggingFaceDatasetSource, resolve_source
from nbtrack.errors import InvalidParameterError


def from_pandas(  # noqa: PLR0917 - MLflow's signature
    df: Any,
    source: Any = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PandasDataset:
    """Return the dataset of a pandas DataFrame.

    Parameters
    ----------
    df
        The DataFrame.
    source
        Where it came from: a path, a URI, a `DatasetSource`. Default: this code.
    targets
        Name of the column of targets.
    name
        Default: ``dataset``.
    digest
        Default: computed as MLflow does.
    predictions
        Name of the column of predictions.

    Raises
    ------
    InvalidParameterError
        Not a DataFrame, no such column, or a source of no known kind.

    Examples
    --------
    >>> import pandas as pd
    >>> wine = from_pandas(pd.DataFrame({"x": [1, 2]}), source="wine.csv", name="wine")
    >>> wine, wine.profile
    (<PandasDataset 'wine' 300830b9>, {'num_rows': 2, 'num_elements': 2})
    """
    _check(df, "pandas", "DataFrame", "from_pandas")
    return PandasDataset(df, resolve_source(source), targets, name, digest, predictions)


def from_polars(  # noqa: PLR0917 - MLflow's signature
    df: Any,
    source: Any = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PolarsDataset:
    """Return the dataset of a polars DataFrame. Parameters as `from_pandas`."""
    _check(df, "polars", "DataFrame", "from_polars")
    return PolarsDataset(df, resolve_source(source), targets, name, digest, predictions)


def from_numpy(
    features: Any,
    source: Any = None,
    targets: Any = None,
    name: str | None = None,
    digest: str | None = None,
) -> NumpyDataset:
    """Return the dataset of numpy arrays, or of dicts of arrays by name.

    Parameters
    ----------
    features, targets
        Array, or dict of arrays; targets may be left out.
    source, name, digest
        As for `from_pandas`.

    Raises
    ------
    InvalidParameterError
        Something is no array, or the source is of no known kind.

    Examples
    --------
    >>> import numpy as np
    >>> from_numpy(np.zeros((3, 2)), targets=np.ones(3)).profile["features_shape"]
    (3, 2)
    """
    for data in (features, targets):
        if data is None and data is targets:
            continue
        for array in data.values() if isinstance(data, Mapping) else [data]:
            _check(array, "numpy", "ndarray", "from_numpy")
    return NumpyDataset(features, resolve_source(source), targets, name, digest)


def from_dict(  # noqa: PLR0917 - MLflow's signature
    data: Mapping[str, Any],
    source: Any = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PandasDataset:
    """Return the dataset of a dict of columns. Parameters as `from_pandas`.

    Examples
    --------
    >>> from_dict({"x": [1, 2], "y": [0, 1]}, targets="y").profile
    {'num_rows': 2, 'num_elements': 4}
    """
    return from_pandas(_frame(data, Mapping), source, targets, name, digest, predictions)


def from_list(  # noqa: PLR0917 - MLflow's signature
    data: Sequence[Any],
    source: Any = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PandasDataset:
    """Return the dataset of a list of rows: dicts, or lists of values.

    Examples
    --------
    >>> from_list([{"x": 1}, {"x": 2}]).schema.input_names()
    ['x']
    """
    return from_pandas(_frame(data, list | tuple), source, targets, name, digest, predictions)


def from_huggingface(  # noqa: PLR0917 - MLflow's signature
    ds: Any,
    path: str | None = None,
    targets: str | None = None,
    data_dir: str | None = None,
    data_files: Any = None,
    revision: Any = None,
    name: str | None = None,
    digest: str | None = None,
    source: Any = None,
) -> HuggingFaceDataset:
    """Return the dataset of a Hugging Face ``datasets.Dataset``.

    Parameters
    ----------
    ds
        The dataset: one split, not a ``DatasetDict``.
    path, data_dir, data_files, revision
        Arguments of ``datasets.load_dataset`` that it was loaded by; they are the source.
    targets, name, digest, source
        As for `from_pandas`; a source takes the place of a path.

    Raises
    ------
    InvalidParameterError
        Another object, or no such column.
    """
    _check(ds, "datasets", "Dataset", "from_huggingface")
    if source is None and path is not None:
        source = HuggingFaceDatasetSource(
            path, ds.config_name, data_dir, data_files, ds.split, revision
        )
    return HuggingFaceDataset(ds, resolve_source(source), targets, name, digest)


def _check(data: Any, library: str, kind: str, verb: str) -> None:
    """Raise unless data is of a class, or of one that inherits from it; imports no library."""
    for cls in type(data).__mro__:
        if cls.__name__ == kind and cls.__module__.partition(".")[0] == library:
            return
    raise InvalidParameterError(
        f"{verb} takes a {library}.{kind}, not a {type(data).__module__}.{type(data).__name__}.",
        hint="There are from_pandas, from_polars, from_numpy, from_dict, from_list and "
        "from_huggingface.",
    )


def _frame(data: Any, kind: Any) -> Any:
    import pandas as pd

    if not isinstance(data, kind):
        raise InvalidParameterError(
            f"A {type(data).__name__} is no dict of columns or list of rows.",
            hint="There are from_pandas, from_polars and from_numpy as well.",
        )
    try:
        return pd.DataFrame(dict(data) if isinstance(data, Mapping) else list(data))
    except (ValueError, TypeError) as error:
        raise InvalidParameterError(
            f"The data makes no table: {error}.", hint="Give each column as many values."
        ) from error
