"""Tables as files: what ``log_table`` writes and appends to, and ``load_table`` reads."""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from nbtrack.errors import InvalidParameterError
from nbtrack.media.image import encode_image, encode_preview, to_pil
from nbtrack.media.optional import library_of, need
from nbtrack.media.plain import plain

if TYPE_CHECKING:
    import pandas as pd

LOGGED_TABLES_TAG = "mlflow.loggedArtifacts"
_FORBIDDEN = "\"',:[]{}"  # load_table of MLflow finds tables by the text of a tag
# The columns that pandas (and with it MLflow) reads as dates where they are.
_DATE_NAME = re.compile(r"(?i).*_at|.*_time|timestamp.*|modified|date")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")


def encode_table(data: Any, path: str, existing: bytes | None = None) -> dict[str, bytes]:
    """Return the files of a table, by path: the table itself, and the images in its cells.

    Parameters
    ----------
    data
        Dict of lists or of scalars (then one row), or a DataFrame of pandas or polars. The index
        is left out. A column of images (PIL images, `nbtrack.Image`) becomes files.
    path
        Where it goes among the artifacts: ``.json`` or ``.parquet``.
    existing
        Content of the file that is there already: rows are appended, and columns that one of
        both lacks are filled up with nothing.

    Raises
    ------
    InvalidParameterError
        No table, or a path that cannot be used.
    MissingPackageError
        ``.parquet`` without pyarrow; images without Pillow.

    Examples
    --------
    >>> encode_table({"x": [1, 2], "y": ["a", None]}, "t.json")
    {'t.json': b'{"columns":["x","y"],"data":[[1,"a"],[2,null]]}'}
    >>> encode_table({"x": 3}, "t.json", b'{"columns":["y"],"data":[["a"]]}')
    {'t.json': b'{"columns":["y","x"],"data":[["a",null],[null,3]]}'}
    """
    check_path(path)
    frame, files = _images_as_files(_frame(data), path)
    if path.endswith(".json"):
        content = _json(frame, path, existing)
    else:
        content = _parquet(frame, path, existing)
    return {**files, path: content}


def decode_table(data: bytes, path: str) -> pd.DataFrame:
    """Return a table that `encode_table` or MLflow wrote.

    Text stays as it was written, also where it looks like a number. ISO dates become dates in
    columns whose name says so, as in MLflow: ``date``, ``modified``, ``timestamp...``,
    ``..._at``, ``..._time``.

    Examples
    --------
    >>> decode_table(b'{"columns":["x"],"data":[[1],[2]]}', "t.json")["x"].tolist()
    [1, 2]
    """
    check_path(path)
    import pandas as pd

    if path.endswith(".parquet"):
        return _read_parquet(data, path)
    columns, rows = _rows(data, path)
    frame = pd.DataFrame(rows, columns=columns)
    for name in frame.columns if frame.columns.is_unique else ():
        column = frame[name]
        texts = column.dropna()
        if (
            _DATE_NAME.fullmatch(str(name))
            and len(texts)
            and all(isinstance(text, str) and _ISO.fullmatch(text) for text in texts)
        ):
            dates = pd.to_datetime(column, errors="coerce", format="ISO8601")
            if dates.notna().sum() == len(texts):
                frame[name] = dates
    return frame


def add_table(path: str, tag: str | None) -> str:
    """Return the value of the tag ``mlflow.loggedArtifacts`` with a table added.

    Parameters
    ----------
    path
        The table's path.
    tag
        The value so far, or None.

    Examples
    --------
    >>> add_table("a.json", None)
    '[{"path": "a.json", "type": "table"}]'
    """
    entries, entry = _entries(tag), {"path": path, "type": "table"}
    return json.dumps(entries if entry in entries else [*entries, entry])


def logged_tables(tag: str | None) -> list[str]:
    """Return the paths of the tables that a tag ``mlflow.loggedArtifacts`` names.

    Examples
    --------
    >>> logged_tables('[{"path": "a.json", "type": "table"}]')
    ['a.json']
    """
    entries = [entry for entry in _entries(tag) if isinstance(entry, dict)]
    return [str(entry.get("path", "")) for entry in entries if entry.get("type") == "table"]


def check_path(path: str) -> None:
    """Raise InvalidParameterError unless a table may have this path.

    Examples
    --------
    >>> check_path("tables/answers.json")
    """
    if not path.endswith((".json", ".parquet")):
        raise InvalidParameterError(
            f"{path!r} is no path for a table; end it in .json or .parquet.",
            hint="Log other files by log_artifact.",
        )
    if any(character in _FORBIDDEN for character in path):
        raise InvalidParameterError(
            f"{path!r} is no path for a table; leave out the characters {' '.join(_FORBIDDEN)}.",
            hint="Use letters, digits, _ - . and /.",
        )


def _frame(data: Any) -> pd.DataFrame:
    import pandas as pd

    if library_of(data, {"polars"}) and hasattr(data, "collect"):
        data = data.collect()
    if library_of(data, {"polars"}) and hasattr(data, "columns"):
        data = {name: data[name].to_list() for name in data.columns}
    if isinstance(data, Mapping):
        columns = {name: _column(value) for name, value in data.items()}
        try:
            frame = pd.DataFrame(columns)
        except ValueError as error:  # nothing but scalars: one row
            if any(_has_rows(value) for value in columns.values()):
                raise InvalidParameterError(
                    f"The columns of the table do not fit together: {error}.",
                    hint="Give each column the same number of values.",
                ) from error
            frame = pd.DataFrame([columns])
    elif isinstance(data, pd.DataFrame):
        frame = data.copy(deep=False)
    else:
        raise InvalidParameterError(
            f"A {type(data).__name__} is no table; use a dict of columns or a DataFrame.",
            hint="Make rows a frame first: pandas.DataFrame(rows).",
        )
    frame.columns = pd.Index([_column_name(name) for name in frame.columns], dtype=object)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidParameterError(
            f"The table has two columns {twice!r}.", hint="Give each column a name of its own."
        )
    return frame.reset_index(drop=True)


def _column(value: Any) -> Any:
    """Return what pandas takes as a column, or as the one value of it."""
    if library_of(value, {"torch"}) and hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if getattr(value, "ndim", 1) > 1 else value  # each cell a row of the array


def _has_rows(value: Any) -> bool:
    sized = hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping)
    return sized and getattr(value, "ndim", 1) > 0


def _column_name(name: Any) -> str | int | float:
    return name if isinstance(name, str | int | float) else str(plain(name))


def _images_as_files(frame: pd.DataFrame, path: str) -> tuple[pd.DataFrame, dict[str, bytes]]:
    files: dict[str, bytes] = {}
    folder = f"table_images/{PurePosixPath(path).with_suffix('')}"

    def as_file(image: Any) -> dict[str, str]:
        name, picture = f"{folder}/{uuid.uuid4()}", to_pil(image)
        files[f"{name}.png"] = encode_image(picture)
        files[f"{name}.webp"] = encode_preview(picture)
        return {
            "type": "image",
            "filepath": f"{name}.png",
            "compressed_filepath": f"{name}.webp",
        }

    for name in frame.columns:
        if frame[name].dtype.kind != "O":
            continue
        images = [_is_image(cell) for cell in frame[name]]
        if any(images) and not all(images):
            raise InvalidParameterError(
                f"The column {name!r} of the table has images and other values.",
                hint="Put images into a column of their own, one in each row.",
            )
        if any(images):
            frame[name] = frame[name].map(as_file)
    return frame, files


def _is_image(cell: Any) -> bool:
    return (
        callable(getattr(cell, "save", None))
        and callable(getattr(cell, "resize", None))
        and hasattr(cell, "size")
    )


def _json(frame: pd.DataFrame, path: str, existing: bytes | None) -> bytes:
    columns: list[Any] = list(frame.columns)
    try:
        cells = [_cells(frame[name]) for name in columns]
    except RecursionError:
        raise InvalidParameterError(
            f"A cell of the table {path!r} contains itself, or is nested too deeply.",
            hint="Write it as text.",
        ) from None
    rows = [list(row) for row in zip(*cells, strict=True)]
    if existing is not None:
        before, rows_before = _rows(existing, path)
        union = [*before, *(name for name in columns if name not in before)]
        rows = [
            *(row + [None] * (len(union) - len(before)) for row in rows_before),
            *([dict(zip(columns, row, strict=True)).get(name) for name in union] for row in rows),
        ]
        columns = union
    return json.dumps({"columns": columns, "data": rows}, separators=(",", ":")).encode()


def _cells(column: pd.Series[Any]) -> list[Any]:
    """Return the values of a column as JSON has them: what is missing or infinite is null."""
    import numpy as np
    import pandas as pd

    kind = column.dtype.kind
    if isinstance(column.dtype, np.dtype | pd.DatetimeTZDtype) and kind == "M":
        times = column.dt.tz_convert(None) if getattr(column.dtype, "tz", None) else column
        zone = "" if times is column else "Z"
        values = times.to_numpy()
        exact = (values.astype("M8[ms]") == values)[~np.isnat(values)].all()
        texts = np.datetime_as_string(values, unit="ms" if exact else "ns").tolist()
        return [None if text == "NaT" else text + zone for text in texts]
    if kind == "f":
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        return _with_nulls(numbers.tolist(), ~np.isfinite(numbers))
    values, missing = column.tolist(), column.isna().to_numpy()
    if kind not in "biu" and set(map(type, values)) != {str}:  # most columns need no look at each
        values = [_finite(plain(value)) for value in values]
    return _with_nulls(values, missing)


def _with_nulls(values: list[Any], missing: Any) -> list[Any]:
    for place in missing.nonzero()[0].tolist():
        values[place] = None
    return values


def _finite(value: Any) -> Any:
    """Return a cell with null for the numbers that JSON does not have."""
    match value:
        case float():
            return value if abs(value) < float("inf") else None
        case list():
            return [_finite(item) for item in value]
        case dict():
            return {key: _finite(item) for key, item in value.items()}
    return value


def _rows(data: bytes, path: str) -> tuple[list[Any], list[list[Any]]]:
    """Return columns and rows of a table in JSON."""
    try:
        table = json.loads(data)
        columns, rows = list(table["columns"]), list(table["data"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _no_table(path) from error
    if any(isinstance(name, list | dict) for name in columns) or not all(
        isinstance(row, list) and len(row) == len(columns) for row in rows
    ):
        raise _no_table(path)
    return columns, rows


def _parquet(frame: pd.DataFrame, path: str, existing: bytes | None) -> bytes:
    import pandas as pd

    arrow = need("pyarrow", "pyarrow", "A table in .parquet")
    if existing is not None:
        frame = pd.concat([_read_parquet(existing, path), frame], ignore_index=True)
    frame.columns = pd.Index([str(name) for name in frame.columns])  # parquet has no others
    file = io.BytesIO()
    try:
        frame.to_parquet(file, index=False, engine="pyarrow")
    except (arrow.ArrowException, ValueError, TypeError) as error:
        raise InvalidParameterError(
            f"The table {path!r} cannot be written: {error}.",
            hint="Give each column one type, or use .json.",
        ) from error
    return file.getvalue()


def _read_parquet(data: bytes, path: str) -> pd.DataFrame:
    import pandas as pd

    arrow = need("pyarrow", "pyarrow", "A table in .parquet")
    try:
        return pd.read_parquet(io.BytesIO(data), engine="pyarrow")
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise _no_table(path) from error


def _no_table(path: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"{path!r} is no table that log_table wrote.", hint="Log the table under another path."
    )


def _entries(tag: str | None) -> list[Any]:
    try:
        entries = json.loads(tag or "[]")
    except ValueError:
        entries = None
    if not isinstance(entries, list):
        raise InvalidParameterError(
            f"The tag {LOGGED_TABLES_TAG} is {tag!r}, which is no list of artifacts in JSON.",
            hint="Delete the tag.",
        )
    return entries
