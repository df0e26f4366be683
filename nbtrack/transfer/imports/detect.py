"""Which kind of archive something is: found out by looking, unless it is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.transfer.imports.base import Archive, Options


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of archive: whether a file or folder is one, and how it is opened."""

    matches: Callable[[Path], bool]
    open: Callable[[Path, Options], Archive]


def _is_mlflow_database(path: Path) -> bool:
    from nbtrack.transfer.imports.sqlite import is_database

    return path.is_file() and is_database(path, {"alembic_version", "experiments", "runs"})


def _open_mlflow_database(path: Path, options: Options) -> Archive:
    from nbtrack.transfer.imports.mlflow.database import MlflowDatabase

    return MlflowDatabase(path, options)


def _is_mlruns(path: Path) -> bool:
    from nbtrack.transfer.imports.mlflow.folder import is_folder

    return is_folder(path)


def _open_mlruns(path: Path, options: Options) -> Archive:
    from nbtrack.transfer.imports.mlflow.folder import MlflowFolder

    return MlflowFolder(path, options)


def _is_tensorboard(path: Path) -> bool:
    from nbtrack.transfer.imports.tensorboard import is_tensorboard

    return is_tensorboard(path)


def _open_tensorboard(path: Path, options: Options) -> Archive:
    from nbtrack.transfer.imports.tensorboard import TensorBoardArchive

    return TensorBoardArchive(path, experiment_name=options.experiment_name)


def _is_csv(path: Path) -> bool:
    from nbtrack.transfer.imports.csv import is_csv

    return is_csv(path)


def _open_csv(kind: Literal["runs", "history"] | None) -> Callable[[Path, Options], Archive]:
    def opened(path: Path, options: Options) -> Archive:
        from nbtrack.transfer.imports.csv import CsvArchive

        return CsvArchive(path, experiment_name=options.experiment_name, kind=kind)

    return opened


def _never(path: Path) -> bool:
    return False


READERS = {
    "mlflow.db": Reader(_is_mlflow_database, _open_mlflow_database),
    "mlruns": Reader(_is_mlruns, _open_mlruns),
    "tensorboard": Reader(_is_tensorboard, _open_tensorboard),
    "csv": Reader(_is_csv, _open_csv(None)),
    # Where looking at the columns would be wrong.
    "csv-runs": Reader(_never, _open_csv("runs")),
    "csv-history": Reader(_never, _open_csv("history")),
}
"""The kinds of archives, by name, in the order in which they are tried."""

_KINDS = (
    "an MLflow folder mlruns, an MLflow database mlflow.db, a TensorBoard log folder or a CSV file"
)


def open_archive(
    source: str | Path,
    options: Options | None = None,
    *,
    format: str | None = None,  # noqa: A002 - what it is called elsewhere, too
) -> Archive:
    """Open what another tool wrote.

    Parameters
    ----------
    source
        A path, ``file:`` or ``sqlite:///path``.
    options
        What the reader may be told.
    format
        Name of a kind in `READERS`; None: whichever it is.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such file; it is of no kind that can be read; it is no file at all.
    """
    if format is not None and format not in READERS:
        raise InvalidParameterError(
            f"{format!r} is no kind of archive.", hint=f"One of: {', '.join(READERS)}."
        )
    path = source_path(source)
    if not path.exists():
        raise NotFoundError(f"There is nothing at {path} to import.", hint=f"Name {_KINDS}.")
    found = format or next((name for name, kind in READERS.items() if kind.matches(path)), None)
    if found is None:
        raise InvalidParameterError(
            f"{path} is nothing that can be imported: it is neither {_KINDS}.",
            hint="Name its kind by format=, or nbtrack merge for a database of nbtrack's.",
        )
    return READERS[found].open(path, options or Options())


def source_path(source: str | Path) -> Path:
    """Return the absolute path that a source means.

    Raises
    ------
    InvalidParameterError
        It is a server or another kind of database.

    Examples
    --------
    >>> source_path("sqlite:////data/mlflow.db").as_posix()
    '/data/mlflow.db'
    >>> source_path("file:///data/mlruns").as_posix()
    '/data/mlruns'
    """
    if isinstance(source, Path):
        return source.expanduser().absolute()
    scheme = urlsplit(source).scheme if ":" in source else ""
    if scheme == "file":
        return Path(url2pathname(urlsplit(source).path)).absolute()
    if source.startswith("sqlite:///"):
        return Path(unquote(source.removeprefix("sqlite:///"))).expanduser().absolute()
    if len(scheme) <= 1:  # C:\ is no scheme
        return Path(source).expanduser().absolute()
    if scheme in {"http", "https", "databricks"}:
        raise InvalidParameterError(
            f"{source!r} is a server, and is not read.",
            hint="Import what it keeps: its --backend-store-uri, on the machine where it is.",
        )
    raise InvalidParameterError(
        f"{source!r} is no file or folder, and is not read.",
        hint="Of databases only MLflow's SQLite file can be read: sqlite:///mlflow.db.",
    )
