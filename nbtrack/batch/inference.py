"""A model's predictions for a file, or for data at hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from nbtrack.batch.columns import signature_columns
from nbtrack.batch.opening import open_source
from nbtrack.batch.reading import (
    Chunk,
    Progress,
    Rows,
    Source,
    is_sliced,
    rows_of,
)
from nbtrack.batch.writing import count, open_output
from nbtrack.errors import InvalidParameterError, NbtrackError, NotFoundError
from nbtrack.models import PyFuncModel
from nbtrack.tracking import Client
from nbtrack.tracking.fluent import default_client

CONTENT_TYPES = ("csv", "json", "parquet")
_TYPES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_MIME = {"text/csv": "csv", "application/json": "json", "application/vnd.apache.parquet": "parquet"}


def predict(
    model_uri: str,
    input_data: Any = None,
    input_path: str | Path | None = None,
    content_type: str | None = None,
    output_path: str | Path | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    chunk_rows: int | None = None,
    trust: bool = False,
    progress: Progress | bool = True,
) -> Any:
    r"""Let a model predict for a file, or for data, a part at a time.

    A file of any length needs the memory of some thousand rows. What it says does not depend on
    how it is taken apart: columns have the types that the model's signature or, if it has none,
    the whole file gives them.

    Parameters
    ----------
    model_uri
        As of `nbtrack.load_model`.
    input_data
        A frame, an array, or what else the model takes.
    input_path
        Instead of data: a CSV file with a header, a Parquet file, JSON lines (an object for a row
        on each line), or one JSON document in a form that MLflow's server takes.
    content_type
        Which of these the file is: csv, parquet or json. Default: as its extension says, else
        json.
    output_path
        Where the predictions go, in the order of the rows: ``.csv``, ``.parquet`` and ``.jsonl``
        are such files, any other is ``{"predictions": [...]}``. It is there only when it is
        whole, and then takes the place of one that was there.
    params
        For the model, besides the data.
    chunk_rows
        How many rows at once. Default: as many as suits.
    trust
        As of `nbtrack.load_model`.
    progress
        Show a bar on a terminal; or a function that is called with how much is done, and of how
        much.

    Returns
    -------
    object
        The predictions, if `output_path` is not given.

    Raises
    ------
    InvalidParameterError
        A row cannot be read or predicted (which one is said), or an argument cannot be used.
    NotFoundError, UntrustedModelError
        There is no such file or model; it is not trusted.

    Examples
    --------
    >>> import nbtrack, tempfile, pathlib
    >>> from sklearn.dummy import DummyClassifier
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> nbtrack.sklearn.save_model(DummyClassifier().fit([[0]], [7]), folder / "guess")
    >>> _ = (folder / "in.csv").write_text("x\n1\n2\n")
    >>> nbtrack.models.predict(str(folder / "guess"), input_path=folder / "in.csv").tolist()
    [7, 7]
    >>> nbtrack.models.predict(
    ...     str(folder / "guess"),
    ...     input_path=folder / "in.csv",
    ...     output_path=folder / "out.json",
    ... )
    >>> (folder / "out.json").read_text()
    '{"predictions": [7,7]}'
    """
    if (input_data is None) == (input_path is None):
        raise InvalidParameterError(
            "A prediction needs either input_data or input_path.",
            hint='For example nbtrack.models.predict("models:/iris/1", input_path="iris.csv").',
        )
    if isinstance(input_data, str | Path):
        raise InvalidParameterError(
            f"The input_data {str(input_data)[:100]!r} is a text, and no data.",
            hint="A file is named by input_path.",
        )
    parts: list[Any] = []
    with nullcontext() if output_path is None else open_output(Path(output_path)) as output:
        run(
            default_client(),
            model_uri,
            input_data if input_path is None else Path(input_path),
            parts.append if output is None else output.write,
            content_type=content_type,
            params=params,
            chunk_rows=chunk_rows,
            trust=trust,
            progress=progress,
        )
    return _joined(parts) if output is None else None


def run(
    client: Client,
    model_uri: str,
    data: Any,
    write: Callable[[Any], None],
    *,
    content_type: str | None = None,
    params: Mapping[str, Any] | None = None,
    chunk_rows: int | None = None,
    trust: bool = False,
    progress: Progress | bool = True,
) -> int:
    """Predict as `predict` does, hand over the predictions of each part, and return how many rows.

    Parameters
    ----------
    data
        Data, or the path of a file.
    write
        Takes the predictions of some rows.

    Raises
    ------
    InvalidParameterError, NotFoundError, UntrustedModelError
        As of `predict`.
    """
    rows = _whole_number(chunk_rows)
    kind = _content_type(data, content_type) if isinstance(data, Path) else ""
    with client.model_directory(model_uri) as directory:
        model = PyFuncModel.load(directory, model_uri=model_uri, trust=trust)
        columns = signature_columns(model.metadata.content.get("signature"))
        source = open_source(data, kind, columns, rows) if kind else Rows(data, rows)
        if params is None and isinstance(source, Rows):
            params = source.params
        total = 0
        with _shown(progress, source) as show:
            for chunk in source.chunks(show):
                if not is_sliced(chunk.data) or chunk.data.shape[0]:
                    found = _predicted(model, chunk, params)
                    write(found)
                    total += count(found) or 0
                show(chunk.done, source.total)
    return total


def _whole_number(chunk_rows: int | None) -> int:
    if chunk_rows is not None and (type(chunk_rows) is not int or chunk_rows < 1):
        raise InvalidParameterError(
            f"chunk_rows is {chunk_rows!r}: it is to be a whole number from 1 upwards."
        )
    return chunk_rows or 0


def _content_type(path: Path, content_type: str | None) -> str:
    """Return of which kind a file is."""
    if not path.is_file():
        if path.exists():
            raise InvalidParameterError(f"{str(path)!r} is no file.", hint="Give a file's path.")
        raise NotFoundError(
            f"There is no file {str(path)!r}.", hint=f"Relative paths begin at {Path.cwd()}."
        )
    if content_type is None:
        return _TYPES.get(path.suffix.lower(), "json")
    kind = _MIME.get(content_type, content_type)
    if kind not in CONTENT_TYPES:
        raise InvalidParameterError(
            f"There is no content type {content_type!r}.",
            hint=f"There are: {', '.join(CONTENT_TYPES)}; JSON lines are json.",
        )
    return kind


def _predicted(model: PyFuncModel, chunk: Chunk, params: Mapping[str, Any] | None) -> Any:
    """Return the predictions of a part, one for each row of it."""

    def ask(data: Any) -> Any:
        return model.predict(data, params)

    try:
        found = ask(chunk.data)
    except Exception as error:
        where = _where(ask, chunk) if is_sliced(chunk.data) else "the data"
        reason = error.message if isinstance(error, NbtrackError) else f"{error}"
        reason = reason.strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise InvalidParameterError(
            f"The model cannot predict {where}: {reason}.",
            hint=error.hint if isinstance(error, NbtrackError) else None,
        ) from error
    if is_sliced(chunk.data) and (given := count(found)) != (rows := chunk.data.shape[0]):
        raise InvalidParameterError(
            f"The model gave {'no' if given is None else given} predictions for the {rows} rows "
            f"from row {chunk.first} on: a {type(found).__name__}.",
            hint="In parts it can only predict row by row; nbtrack.load_model gives it as it is.",
        )
    return found


def _where(ask: Callable[[Any], Any], chunk: Chunk) -> str:
    """Say which is the first row that cannot be predicted, by halves."""

    def fails(start: int, end: int) -> bool:
        try:
            ask(rows_of(chunk.data, start, end))
        except Exception:  # noqa: BLE001  # whatever it is, it has been raised before
            return True
        return False

    start, end = 0, chunk.data.shape[0]
    while end - start > 1:
        middle = (start + end) // 2
        if fails(start, middle):
            end = middle
        else:
            start = middle
    if fails(start, start + 1):
        return f"row {chunk.first + start}"
    return f"rows {chunk.first} to {chunk.first + chunk.data.shape[0] - 1} together"


@contextmanager
def _shown(progress: Progress | bool, source: Source) -> Iterator[Progress]:
    """Give what to call with how much is done, and of how much."""
    if callable(progress):
        yield progress
        return
    if not progress or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread to look after a bar
    is_file = source.unit == "B"
    with tqdm(
        desc="Predicting",
        total=source.total,
        unit=source.unit,
        unit_scale=True,
        unit_divisor=1024 if is_file else 1000,
        leave=False,
        delay=0.5,
    ) as bar:

        def show(done: int, _total: int) -> None:
            bar.update(done - bar.n)

        yield show


def _joined(parts: list[Any]) -> Any:
    """Return the predictions of all parts as one."""
    if len(parts) < 2:  # noqa: PLR2004
        return parts[0] if parts else []
    first = parts[0]
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts]) for name in first}
    if isinstance(first, list | tuple):
        return [item for part in parts for item in part]
    if hasattr(first, "iloc"):
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    import numpy as np

    return np.concatenate(parts)
