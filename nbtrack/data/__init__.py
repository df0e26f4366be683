"""Datasets of a run, in MLflow's words: what the data is and where it came from, not the data.

::

    import nbtrack

    wine = nbtrack.data.from_pandas(df, source="wine.csv", targets="quality", name="wine")
    wine.digest, wine.profile, wine.schema
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack._lazy import attach

if TYPE_CHECKING:
    from nbtrack.data.construct import (
        from_dict,
        from_huggingface,
        from_list,
        from_numpy,
        from_pandas,
        from_polars,
    )
    from nbtrack.data.datasets import (
        Dataset,
        HuggingFaceDataset,
        MetaDataset,
        NumpyDataset,
        PandasDataset,
        PolarsDataset,
    )
    from nbtrack.data.record import get_source, to_record
    from nbtrack.data.schema import Schema, TensorSchema, infer_schema
    from nbtrack.data.sources import (
        CodeDatasetSource,
        DatasetSource,
        DeltaDatasetSource,
        HTTPDatasetSource,
        HuggingFaceDatasetSource,
        LocalDatasetSource,
        RemoteDatasetSource,
        resolve_source,
    )

__all__ = [
    "CodeDatasetSource",
    "Dataset",
    "DatasetSource",
    "DeltaDatasetSource",
    "HTTPDatasetSource",
    "HuggingFaceDataset",
    "HuggingFaceDatasetSource",
    "LocalDatasetSource",
    "MetaDataset",
    "NumpyDataset",
    "PandasDataset",
    "PolarsDataset",
    "RemoteDatasetSource",
    "Schema",
    "TensorSchema",
    "from_dict",
    "from_huggingface",
    "from_list",
    "from_numpy",
    "from_pandas",
    "from_polars",
    "get_source",
    "infer_schema",
    "resolve_source",
    "to_record",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "CodeDatasetSource": ".sources",
        "Dataset": ".datasets",
        "DatasetSource": ".sources",
        "DeltaDatasetSource": ".sources",
        "HTTPDatasetSource": ".sources",
        "HuggingFaceDataset": ".datasets",
        "HuggingFaceDatasetSource": ".sources",
        "LocalDatasetSource": ".sources",
        "MetaDataset": ".datasets",
        "NumpyDataset": ".datasets",
        "PandasDataset": ".datasets",
        "PolarsDataset": ".datasets",
        "RemoteDatasetSource": ".sources",
        "Schema": ".schema",
        "TensorSchema": ".schema",
        "from_dict": ".construct",
        "from_huggingface": ".construct",
        "from_list": ".construct",
        "from_numpy": ".construct",
        "from_pandas": ".construct",
        "from_polars": ".construct",
        "get_source": ".record",
        "infer_schema": ".schema",
        "resolve_source": ".sources",
        "to_record": ".record",
    },
)
