"""Which kind of file it is; JSON documents of MLflow's, which are read as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from nbtrack.batch.columns import conform
from nbtrack.batch.reading import MAX_LINE_BYTES, Csv, JsonLines, Parquet, Rows, Source
from nbtrack.errors import InvalidParameterError

MAX_DOCUMENT_BYTES = 256 * 2**20
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""What a JSON document of MLflow's has its data under."""


def json_source(path: Path, columns: Mapping[str, str], rows: int) -> Source:
    """Return a JSON file's data: lines of objects, or one document of MLflow's.

    Raises
    ------
    InvalidParameterError
        It is neither, or too long to be read as a whole.
    """
    with path.open("rb") as file:
        if path.suffix.lower() in {".jsonl", ".ndjson"} or _is_lines(file):
            return JsonLines(path, columns, rows)
        size = path.stat().st_size
        if size > MAX_DOCUMENT_BYTES:
            raise InvalidParameterError(
                f"{path} is one JSON document of {size / 2**20:.0f} MB, which would have to be "
                f"read as a whole; {MAX_DOCUMENT_BYTES // 2**20} MB can be.",
                hint="Give JSON lines (an object on each line), CSV or Parquet.",
            )
        file.seek(0)
        try:
            content = json.loads(file.read())
        except (ValueError, RecursionError) as error:
            raise InvalidParameterError(f"{path} is no JSON: {error}.") from error
    return document(content, str(path), columns, rows)


def _is_lines(file: BinaryIO) -> bool:
    """Whether the first line is a JSON object, and no document that ends with it."""
    first = file.readline(MAX_LINE_BYTES)
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    if not isinstance(row, dict):
        return False
    rest = iter(partial(file.readline, MAX_LINE_BYTES), b"")
    return _form(row) is None or any(line.strip() for line in rest)


def _form(content: Mapping[str, Any]) -> str | None:
    """Return what a document has its data under; an empty text: it is a frame itself."""
    if {"columns", "data"} <= set(content) <= {"columns", "data", "index"}:
        return ""  # as MLflow 1 had it
    return next((form for form in _FORMS if form in content), None)


def document(content: Any, called: str, columns: Mapping[str, str], rows: int) -> Rows:
    """Return the data of a JSON document, in one of the forms that MLflow's server takes.

    Raises
    ------
    InvalidParameterError
        It is none of these forms.

    Examples
    --------
    >>> document({"inputs": [[1, 2], [3, 4]]}, "it", {}, 0).data.tolist()
    [[1, 2], [3, 4]]
    >>> document({"columns": ["x"], "data": [[5]]}, "it", {}, 0).data.to_dict()
    {'x': {0: 5}}
    """
    import numpy as np
    import pandas as pd

    form = _form(content) if isinstance(content, dict) else None
    if form == "":
        form, content = "dataframe_split", {"dataframe_split": content}
    elif isinstance(content, list):  # as MLflow 1 had it, too
        form, content = "dataframe_records", {"dataframe_records": content}
    if form is None:
        raise InvalidParameterError(
            f"{called} has no data in a form that is known.",
            hint=f"A JSON document has one of {', '.join(_FORMS)}; JSON lines have an object each.",
        )
    value: Any = content[form]
    data: Any
    try:
        if form == "dataframe_split":
            data = pd.DataFrame(value["data"], value.get("index"), value.get("columns"))
        elif form == "dataframe_records":
            data = pd.DataFrame.from_records(value)
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            data = {name: np.asarray([row[name] for row in value]) for name in value[0]}
        elif isinstance(value, dict):
            data = {name: np.asarray(column) for name, column in value.items()}
        else:
            data = np.asarray(value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidParameterError(
            f"{form!r} in {called} cannot be read: {type(error).__name__}: {error}."
        ) from error
    if isinstance(data, pd.DataFrame) and set(columns) & set(data.columns):
        data = conform(data, columns)
    params = content.get("params")
    return Rows(data, rows, params if isinstance(params, dict) else None)


def open_source(path: Path, content_type: str, columns: Mapping[str, str], rows: int) -> Source:
    """Return a file's data.

    Parameters
    ----------
    content_type
        csv, json or parquet.
    columns, rows
        As of `Csv`.

    Raises
    ------
    InvalidParameterError, MissingPackageError
        It cannot be read.
    """
    try:
        if content_type == "csv":
            return Csv(path, columns, rows)
        if content_type == "parquet":
            return Parquet(path, columns, rows)
        return json_source(path, columns, rows)
    except OSError as error:
        raise InvalidParameterError(f"{path} cannot be read: {error.strerror}.") from error
