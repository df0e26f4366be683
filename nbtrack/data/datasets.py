"""Datasets: data with a name, a digest, a source. What is stored of them is `to_dict()`."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

from nbtrack.data.digest import MAX_ROWS, numpy_digest, pandas_digest
from nbtrack.data.schema import Schema, TensorSchema, infer_schema
from nbtrack.errors import InvalidParameterError


class Dataset:
    """Base of datasets: name, digest and source; schema and profile where they are known.

    A subclass of your own says what its digest is in ``_compute_digest``.

    Parameters
    ----------
    source
        Where the data came from.
    name
        Default: ``dataset``.
    digest
        Default: computed.
    """

    def __init__(self, source: Any, name: str | None = None, digest: str | None = None) -> None:
        self._source = source
        self._name = name
        self._digest = digest or self._compute_digest()

    def _compute_digest(self) -> str:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The dataset's name."""
        return "dataset" if self._name is None else self._name

    @property
    def digest(self) -> str:
        """Fingerprint of the data."""
        return self._digest

    @property
    def source(self) -> Any:
        """Where the data came from."""
        return self._source

    @property
    def source_type(self) -> str:
        """Kind of source: ``local``, ``http``, ``code`` ..."""
        return str(self._source._get_source_type())  # a name of MLflow's, so that its sources work

    @property
    def schema(self) -> Any:
        """Types of columns or arrays; None where they have none."""
        return None

    @property
    def profile(self) -> Any:
        """Sizes of the data."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as MLflow has it: text, also the source, schema and profile."""
        return {
            "name": self.name,
            "digest": self.digest,
            "source": self._source.to_json(),
            "source_type": self.source_type,
            **self._facts(),
        }

    def _facts(self) -> dict[str, Any]:
        return {"schema": self._schema_json(), "profile": json.dumps(self.profile)}

    def _schema_json(self) -> str | None:
        return json.dumps({"mlflow_colspec": self.schema.to_dict()}) if self.schema else None

    def to_json(self) -> str:
        """Return `to_dict()` as JSON."""
        return json.dumps(self.to_dict())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.digest}>"


class _FrameDataset(Dataset):
    """A DataFrame, perhaps with columns that are targets and predictions."""

    def __init__(  # noqa: PLR0917 - MLflow's signature
        self,
        df: Any,
        source: Any,
        targets: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        predictions: str | None = None,
    ) -> None:
        check_columns(list(df.columns), targets=targets, predictions=predictions)
        self._df, self._targets, self._predictions = df, targets, predictions
        super().__init__(source, name, digest)

    @property
    def df(self) -> Any:
        """The DataFrame."""
        return self._df

    @property
    def targets(self) -> str | None:
        """Name of the column of targets."""
        return self._targets

    @property
    def predictions(self) -> str | None:
        """Name of the column of predictions."""
        return self._predictions

    @property
    def profile(self) -> dict[str, int]:
        """Number of rows, and of cells."""
        rows, columns = self._df.shape
        return {"num_rows": rows, "num_elements": rows * columns}

    @cached_property
    def schema(self) -> Schema | None:
        """The columns and their types; None where MLflow has no word for one."""
        return infer_schema(self._df)


class PandasDataset(_FrameDataset):
    """A pandas DataFrame. Made by `nbtrack.data.from_pandas`."""

    def _compute_digest(self) -> str:
        return pandas_digest(self._df)


class PolarsDataset(_FrameDataset):
    """A polars DataFrame. Made by `nbtrack.data.from_polars`."""

    def _compute_digest(self) -> str:
        return str(self._df.hash_rows().sum())

    def _schema_json(self) -> str | None:
        return super()._schema_json() or "null"  # so MLflow writes it here


class NumpyDataset(Dataset):
    """Arrays, or dicts of arrays. Made by `nbtrack.data.from_numpy`."""

    def __init__(
        self,
        features: Any,
        source: Any,
        targets: Any = None,
        name: str | None = None,
        digest: str | None = None,
    ) -> None:
        self._features, self._targets = features, targets
        super().__init__(source, name, digest)

    def _compute_digest(self) -> str:
        return numpy_digest(self._features, self._targets)

    @property
    def features(self) -> Any:
        """The features."""
        return self._features

    @property
    def targets(self) -> Any:
        """The targets, or None."""
        return self._targets

    @property
    def profile(self) -> dict[str, Any]:
        """Shape, size and bytes of features and targets."""
        return {
            f"{part}_{fact}": _fact(data, fact)
            for part, data in (("features", self._features), ("targets", self._targets))
            if data is not None
            for fact in ("shape", "size", "nbytes")
        }

    @cached_property
    def schema(self) -> TensorSchema | None:
        """Types and shapes, the first axis free; None for arrays without axes."""
        features = infer_schema(self._features)
        targets = None if self._targets is None else infer_schema(self._targets)
        if features is None or (targets is None and self._targets is not None):
            return None
        return TensorSchema(features, targets)

    def _schema_json(self) -> str | None:
        return json.dumps(self.schema.to_dict()) if self.schema else None


class HuggingFaceDataset(Dataset):
    """A ``datasets.Dataset``. Made by `nbtrack.data.from_huggingface`."""

    def __init__(
        self,
        ds: Any,
        source: Any,
        targets: str | None = None,
        name: str | None = None,
        digest: str | None = None,
    ) -> None:
        check_columns(list(ds.column_names), targets=targets)
        self._ds, self._targets = ds, targets
        super().__init__(source, name, digest)

    @cached_property
    def _top(self) -> Any:
        return next(iter(self._ds.to_pandas(batch_size=MAX_ROWS, batched=True)))

    def _compute_digest(self) -> str:
        return pandas_digest(self._top)

    @property
    def ds(self) -> Any:
        """The Hugging Face dataset."""
        return self._ds

    @property
    def targets(self) -> str | None:
        """Name of the column of targets."""
        return self._targets

    @property
    def profile(self) -> dict[str, Any]:
        """Number of rows, and bytes."""
        names = ("num_rows", "dataset_size", "size_in_bytes")
        return {name: getattr(self._ds, name) for name in names}

    @cached_property
    def schema(self) -> Schema | None:
        """The columns and their types."""
        return infer_schema(self._top)


class MetaDataset(Dataset):
    """A dataset of which only the source is known, and perhaps the schema.

    Examples
    --------
    >>> from nbtrack.data import HTTPDatasetSource
    >>> MetaDataset(HTTPDatasetSource("https://example.org/wine.csv"), name="wine").digest
    'adbac829'
    """

    def __init__(
        self,
        source: Any,
        name: str | None = None,
        digest: str | None = None,
        schema: Any = None,
    ) -> None:
        self._schema = schema
        super().__init__(source, name, digest)

    @property
    def schema(self) -> Any:
        """The schema that was given."""
        return self._schema

    def _compute_digest(self) -> str:
        known = {
            "name": self.name,
            "source": self._source.to_json(),
            "source_type": self.source_type,
            "schema": self._schema.to_dict() if self._schema else "",
        }
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:8]

    def _facts(self) -> dict[str, Any]:
        return {"schema": self._schema_json()} if self._schema else {}


def check_columns(columns: list[Any], **named: str | None) -> None:
    """Raise InvalidParameterError if a part (``targets=``) names a column that is not there.

    Examples
    --------
    >>> check_columns(["x", "y"], targets="y", predictions=None)
    """
    for part, column in named.items():
        if column is not None and column not in columns:
            shown = ", ".join(map(repr, columns[:10])) + (", ..." if len(columns) > 10 else "")  # noqa: PLR2004
            raise InvalidParameterError(
                f"{part}={column!r} is no column of the data, which has {shown or 'none'}.",
                hint=f"Give {part} the name of a column, or leave it out.",
            )


def _fact(data: Any, name: str) -> Any:
    if isinstance(data, dict):
        return {key: getattr(array, name) for key, array in data.items()}
    return getattr(data, name)
