"""Predictions to a file: a part at a time, aside, and under its name only when it is whole."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from nbtrack.errors import InvalidParameterError
from nbtrack.media.optional import need
from nbtrack.media.plain import encode_json

if TYPE_CHECKING:
    import pandas as pd

KINDS = {
    ".csv": "csv",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""What is written, by the extension of the file; with any other, the JSON of MLflow's."""
COLUMN = "prediction"
"""The column of predictions that have no names of their own."""
_TABLE = 2  # dimensions


class Output(Protocol):
    """What takes predictions."""

    def write(self, predictions: Any) -> None:
        """Take those of some rows."""

    def close(self) -> None:
        """Write what ends the file."""


@contextmanager
def open_output(path: Path | None) -> Iterator[Output]:
    """Give something that writes predictions to a file, whose kind its extension tells.

    The file is there only if all of it could be written: until then one that was there before
    stays as it is.

    Parameters
    ----------
    path
        The file; None: the standard output, as JSON.

    Raises
    ------
    InvalidParameterError
        It cannot be written.
    """
    if path is None:
        printed = _Json(sys.stdout.buffer)
        yield printed
        printed.close()
        sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()
        return
    make = _OUTPUTS[KINDS.get(path.suffix.lower(), "json")]
    try:
        with _aside(path) as file:
            output = make(file)
            yield output
            output.close()
    except OSError as error:
        raise InvalidParameterError(
            f"The predictions cannot be written to {str(path)!r}: {error.strerror or error}.",
            hint="Give another output_path.",
        ) from error


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the place of another when all went well."""
    target = Path(os.path.realpath(path))  # what a link leads to
    if target.exists() and not target.is_file():  # a device, or a pipe; a folder is refused
        with target.open("wb") as file:
            yield file
        return
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def count(predictions: Any) -> int | None:
    """Return for how many rows these are; None if that cannot be told."""
    if isinstance(predictions, dict):
        counts = {count(column) for column in predictions.values()}
        return counts.pop() if len(counts) == 1 else None
    shape = getattr(predictions, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    is_list = isinstance(predictions, list | tuple)
    return len(predictions) if is_list or hasattr(predictions, "iloc") else None


def _items(predictions: Any) -> list[Any]:
    """Return a value for each row."""
    if isinstance(predictions, dict):
        predictions = _frame(predictions)
    if hasattr(predictions, "to_dict") and hasattr(predictions, "columns"):
        names = [str(name) for name in predictions.columns]
        columns = [predictions[name].tolist() for name in predictions.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    values = _array(predictions) if not isinstance(predictions, list | tuple) else predictions
    found: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return found


def _array(predictions: Any) -> Any:
    """Return what is like an array as something that has ``tolist``."""
    import numpy as np

    if hasattr(predictions, "toarray"):
        return predictions.toarray()
    return predictions if hasattr(predictions, "tolist") else np.asarray(predictions)


def _frame(predictions: Any) -> pd.DataFrame:
    """Return predictions as a table."""
    import pandas as pd

    if isinstance(predictions, pd.DataFrame):
        return predictions.rename(columns=str)
    if isinstance(predictions, dict):
        return pd.DataFrame({str(k): list(v) for k, v in predictions.items()})
    if isinstance(predictions, pd.Series):
        return predictions.to_frame(str(predictions.name or COLUMN))
    values: Any = predictions if isinstance(predictions, list | tuple) else _array(predictions)
    if getattr(values, "ndim", 1) == _TABLE:
        names = [f"{COLUMN}_{place}" for place in range(values.shape[1])]
        return pd.DataFrame(values, columns=names)
    return pd.DataFrame({COLUMN: list(values)})


class _Json:
    """``{"predictions": [...]}``, as MLflow writes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._before = b'{"predictions": ['

    def write(self, predictions: Any) -> None:
        """Take those of some rows."""
        if items := _items(predictions):
            self._file.write(self._before + encode_json(items)[1:-1].encode())
            self._before = b","

    def close(self) -> None:
        """End the list."""
        self._file.write(b"]}" if self._before == b"," else self._before + b"]}")


class _Lines:
    """The prediction of a row on each line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, predictions: Any) -> None:
        """Take those of some rows."""
        self._file.writelines(f"{encode_json(item)}\n".encode() for item in _items(predictions))

    def close(self) -> None:
        """Do nothing more."""


class _Csv:
    """A table with a header."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._is_begun = False

    def write(self, predictions: Any) -> None:
        """Take those of some rows."""
        text = _frame(predictions).to_csv(index=False, header=not self._is_begun)
        self._file.write(text.encode())
        self._is_begun = True

    def close(self) -> None:
        """Write the header, if there was no row."""
        if not self._is_begun:
            self._file.write(f"{COLUMN}\n".encode())


class _Parquet:
    """A table, each part of the same types as the first."""

    def __init__(self, file: BinaryIO) -> None:
        self._arrow = need("pyarrow", "pyarrow", "A Parquet file")
        self._parquet = need("pyarrow.parquet", "pyarrow", "A Parquet file")
        self._file = file
        self._writer: Any = None

    def write(self, predictions: Any) -> None:
        """Take those of some rows.

        Raises
        ------
        InvalidParameterError
            They are of other types than those before.
        """
        schema = None if self._writer is None else self._writer.schema
        try:
            table = self._arrow.Table.from_pandas(_frame(predictions), schema, preserve_index=False)
        except (self._arrow.ArrowException, ValueError, TypeError) as error:
            raise InvalidParameterError(
                f"The predictions cannot be a Parquet file: {error}.",
                hint="Predictions of no one type can be JSON lines: output_path='....jsonl'.",
            ) from error
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._file, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the footer."""
        if self._writer is None:
            import pandas as pd

            self.write(pd.DataFrame({COLUMN: pd.Series([], dtype="float64")}))
        self._writer.close()


_OUTPUTS: dict[str, Callable[[BinaryIO], Output]] = {
    "csv": _Csv,
    "json": _Json,
    "lines": _Lines,
    "parquet": _Parquet,
}
