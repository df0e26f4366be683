"""Data a part at a time: CSV, Parquet, JSON lines, and what is in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nbtrack.batch.columns import common_types, conform, forced
from nbtrack.errors import InvalidParameterError
from nbtrack.media.optional import need

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]

CHUNK_BYTES = 4 * 2**20  # of the file
MAX_CHUNK_ROWS = 50_000
_SAMPLE_BYTES = 256 * 2**10
_BUFFER_BYTES = 2**20  # of each column: without it, all of a row group is read at once
MAX_LINE_BYTES = 64 * 2**20
_decode = json.JSONDecoder().decode  # half of what json.loads of bytes takes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows.

    Parameters
    ----------
    data
        A frame, an array, or what else a model is given.
    first
        Number of the first row, counted from 1.
    done
        How much of the source has been read with it.
    """

    data: Any
    first: int
    done: int


class Source(Protocol):
    """What is read a part at a time."""

    total: int
    """How much there is: bytes of a file, which may be read twice, or rows."""
    unit: str
    """``B`` or ``rows``."""

    def chunks(self, progress: Progress) -> Iterator[Chunk]:
        """Yield the parts in order; tell of work that comes before the first of them."""


def chunk_rows(size: int, rows: float) -> int:
    """Return how many rows to take at once of so many, which take so many bytes."""
    return max(1, min(MAX_CHUNK_ROWS, int(CHUNK_BYTES * max(rows, 1) / max(size, 1))))


@dataclass
class Rows:
    """Data that is in memory.

    Parameters
    ----------
    data
        Frames and arrays are taken in slices, anything else as a whole.
    rows
        How many at once; 0: as many as suits.
    params
        What came with it for the model.
    """

    data: Any
    rows: int = 0
    params: Mapping[str, Any] | None = None
    unit: str = "rows"
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = self.data.shape[0] if is_sliced(self.data) else 1

    def chunks(self, progress: Progress) -> Iterator[Chunk]:
        """Yield slices."""
        if not is_sliced(self.data):
            yield Chunk(self.data, 1, 1)
            return
        step = self.rows or MAX_CHUNK_ROWS
        for start in range(0, self.total, step):
            end = min(start + step, self.total)
            yield Chunk(rows_of(self.data, start, end), start + 1, end)


def is_sliced(data: Any) -> bool:
    """Whether data has rows that can be taken apart."""
    return bool(getattr(data, "shape", ())) and hasattr(data, "__getitem__")


def rows_of(data: Any, start: int, end: int) -> Any:
    """Return some rows of a frame or an array."""
    return data.iloc[start:end] if hasattr(data, "iloc") else data[start:end]


@dataclass
class Csv:
    """A CSV file with a header.

    Parameters
    ----------
    path
        The file.
    columns
        The columns that the model's signature names, and their types; none: all columns, of the
        types that they have in the whole file.
    rows
        How many at once; 0: as many as suits.
    """

    path: Path
    columns: Mapping[str, str]
    rows: int = 0
    unit: str = "B"
    total: int = field(init=False)

    def __post_init__(self) -> None:
        size = self.path.stat().st_size
        self.total = size if self.columns else 2 * size
        with self.path.open("rb") as file:
            sample = file.read(_SAMPLE_BYTES)
        self.rows = self.rows or chunk_rows(len(sample), sample.count(b"\n"))

    def chunks(self, progress: Progress) -> Iterator[Chunk]:
        """Yield frames.

        Raises
        ------
        InvalidParameterError
            A row is none, or a value has not the type that the signature says.
        """
        types, before = forced(self.columns), 0
        if not self.columns:
            types = common_types(self._seen(progress))
            before = self.path.stat().st_size
        first = 1
        for frame, done in self._frames(types):
            yield Chunk(conform(frame, self.columns), first, before + done)
            first += len(frame)

    def _seen(self, progress: Progress) -> Iterator[pd.DataFrame]:
        for frame, done in self._frames({}):
            progress(done, self.total)
            yield frame

    def _frames(self, types: Any) -> Iterator[tuple[pd.DataFrame, int]]:
        import pandas as pd

        wanted = self.columns.__contains__ if self.columns else None
        with self.path.open("rb") as file:
            try:
                with pd.read_csv(
                    file, chunksize=self.rows, dtype=types, usecols=wanted, low_memory=False
                ) as reader:
                    for frame in reader:
                        yield frame, file.tell()
            except pd.errors.EmptyDataError:
                return
            except (ValueError, pd.errors.ParserError) as error:  # also text that is no UTF-8
                raise self._problem(error, types) from error

    def _problem(self, error: Exception, types: Mapping[str, str]) -> InvalidParameterError:
        """Say where in the file it is that cannot be read."""
        import pandas as pd

        numbers = {name for name, kind in types.items() if kind in {"float32", "float64"}}
        if not isinstance(error, pd.errors.ParserError | UnicodeError) and numbers:
            first = 1
            for frame, _ in self._frames("str"):
                for name in numbers & set(frame.columns):
                    column = frame[name]
                    bad = (
                        pd.to_numeric(column, errors="coerce").isna() & column.notna()
                    ).to_numpy()
                    if bad.any():
                        at = int(bad.argmax())
                        return InvalidParameterError(
                            f"Row {first + at} of {self.path} has {column.iloc[at]!r} in the "
                            f"column {name!r}, where the model takes numbers."
                        )
                first += len(frame)
        reason = str(error).rpartition("error: ")[2].strip().rstrip(".")
        return InvalidParameterError(
            f"{self.path} cannot be read as CSV: {reason}.",
            hint="It needs a header and commas, in UTF-8; content_type says another kind.",
        )


@dataclass
class Parquet:
    """A Parquet file; parameters as of `Csv`."""

    path: Path
    columns: Mapping[str, str]
    rows: int = 0
    unit: str = "rows"
    total: int = field(init=False)

    def __post_init__(self) -> None:
        with self._file() as file:
            self.total = file.metadata.num_rows
            groups = range(file.metadata.num_row_groups)
            size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
        self.rows = self.rows or chunk_rows(size, self.total)

    def _file(self) -> Any:
        parquet = need("pyarrow.parquet", "pyarrow", "A Parquet file")
        try:
            return parquet.ParquetFile(self.path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (OSError, ValueError) as error:  # pyarrow's own errors are both
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> InvalidParameterError:
        reason = str(error).partition("\n")[0].rstrip(".")
        return InvalidParameterError(f"{self.path} cannot be read as Parquet: {reason}.")

    def chunks(self, progress: Progress) -> Iterator[Chunk]:
        """Yield frames.

        Raises
        ------
        InvalidParameterError
            The file is damaged.
        """
        first = 1
        with self._file() as file:
            names = [n for n in file.schema_arrow.names if n in self.columns] or None
            batches = file.iter_batches(self.rows, columns=names, use_threads=False)
            while True:
                try:
                    batch = next(batches, None)
                except (OSError, ValueError) as error:
                    raise self._problem(error) from error
                if batch is None:
                    return
                frame = batch.to_pandas()
                yield Chunk(conform(frame, self.columns), first, first + len(frame) - 1)
                first += len(frame)


@dataclass
class JsonLines:
    """A file with a JSON object for a row on each line; parameters as of `Csv`."""

    path: Path
    columns: Mapping[str, str]
    rows: int = 0
    unit: str = "B"
    total: int = field(init=False)

    def __post_init__(self) -> None:
        size = self.path.stat().st_size
        self.total = size if self.columns else 2 * size
        with self.path.open("rb") as file:
            sample = file.read(_SAMPLE_BYTES)
        self.rows = self.rows or chunk_rows(len(sample), sample.count(b"\n"))

    def chunks(self, progress: Progress) -> Iterator[Chunk]:
        """Yield frames.

        Raises
        ------
        InvalidParameterError
            A line is no JSON object.
        """
        types: dict[str, Any] = {}
        names, before = list(self.columns), 0
        if not self.columns:
            types, names = self._look(progress)
            before = self.path.stat().st_size
        first = 1
        for frame, done in self._frames():
            whole = frame.reindex(columns=names)
            yield Chunk(conform(whole.astype(types), self.columns), first, before + done)
            first += len(frame)

    def _look(self, progress: Progress) -> tuple[dict[str, Any], list[str]]:
        names: dict[str, None] = {}

        def frames() -> Iterator[pd.DataFrame]:
            for frame, done in self._frames():
                names.update(dict.fromkeys(frame.columns))
                progress(done, self.total)
                yield frame

        return common_types(frames(), mixed="object"), list(names)

    def _frames(self) -> Iterator[tuple[pd.DataFrame, int]]:
        import pandas as pd

        with self.path.open("rb") as file:
            rows: list[Any] = []
            for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES), b""), 1):
                if line.strip():
                    rows.append(self._row(line, number))
                if len(rows) == self.rows:
                    yield pd.DataFrame(rows), file.tell()
                    rows = []
            if rows:
                yield pd.DataFrame(rows), file.tell()

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = _decode(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (ValueError, RecursionError) as error:
            raise InvalidParameterError(
                f"Line {number} of {self.path} is no JSON: {error}."
            ) from error
        if not isinstance(row, dict):
            raise InvalidParameterError(
                f"Line {number} of {self.path} is a {type(row).__name__}, and no object.",
                hint='Each line is a row, by the names of its columns: {"x": 1, "y": 2}.',
            )
        return row
