"""Where data came from: a file, an address, a table, or the code that made it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import SplitResult, unquote, urlsplit

from nbtrack.data.download import download
from nbtrack.errors import InvalidParameterError, MissingPackageError, NotFoundError, StoreError
from nbtrack.provenance import this_process

# Places of files that a source may name by its scheme, as in MLflow.
REMOTE = ("s3", "r2", "b2", "gs", "wasbs", "abfss", "dbfs", "ftp", "sftp", "hdfs", "viewfs")


class DatasetSource:
    """Where a dataset came from. Subclasses say which kind of place, and how it is written."""

    source_type: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the source as a dict that JSON can hold."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Return the source as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> DatasetSource:
        """Return the source that `to_dict` described."""
        raise NotImplementedError

    def load(self) -> Any:
        """Return what the source names; most sources cannot be loaded by nbtrack.

        Raises
        ------
        InvalidParameterError
            This kind of source names nothing that can be loaded.
        """
        raise InvalidParameterError(
            f"A source of type {self.source_type!r} cannot be loaded: {self.to_json()}.",
            hint="Load the data as the code did that made the dataset.",
        )

    def _get_source_type(self) -> str:
        return self.source_type  # MLflow asks for it by this name

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.to_json() == self.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.to_json()}>"


class CodeDatasetSource(DatasetSource):
    """Data that code made: the tags say who ran which script.

    Examples
    --------
    >>> CodeDatasetSource({"mlflow.source.name": "train.py"}).to_json()
    '{"tags": {"mlflow.source.name": "train.py"}}'
    """

    source_type = "code"

    def __init__(self, tags: Mapping[str, str]) -> None:
        self.tags = dict(tags)

    @classmethod
    def here(cls) -> CodeDatasetSource:
        """Return the source for data that this process makes."""
        script = sys.argv[0] if sys.argv and sys.argv[0] else "<console>"
        return cls(
            {
                "mlflow.user": this_process().user_id,
                "mlflow.source.name": script,
                "mlflow.source.type": "NOTEBOOK" if "ipykernel" in sys.modules else "LOCAL",
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the tags in a dict."""
        return {"tags": self.tags}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> CodeDatasetSource:
        """Return the source with these tags."""
        return cls(source.get("tags") or {})


class _UriSource(DatasetSource):
    def __init__(self, uri: str) -> None:
        self.uri = uri

    def to_dict(self) -> dict[str, Any]:
        """Return the URI in a dict."""
        return {"uri": self.uri}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> DatasetSource:
        """Return the source at this URI."""
        return cls(_required(source, "uri"))


class LocalDatasetSource(_UriSource):
    """A file or folder on this machine: a path, or a ``file:`` URI."""

    source_type = "local"

    def load(self, dst_path: str | os.PathLike[str] | None = None) -> str:
        """Return the path of the data.

        Parameters
        ----------
        dst_path
            Folder to copy it into; made if it is not there. Default: where it lies.

        Raises
        ------
        NotFoundError
            There is no such file (any more).
        StoreError
            It cannot be copied.
        """
        path = Path(_local_path(self.uri))
        if not path.exists():
            raise NotFoundError(
                f"There is no file {str(path)!r}.",
                hint="A path in a source counts from the working directory of that time.",
            )
        if dst_path is None:
            return str(path)
        target = Path(dst_path) / path.resolve().name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            elif not (target.exists() and target.samefile(path)):
                shutil.copy2(path, target)
        except OSError as error:
            raise StoreError(
                f"{str(path)!r} cannot be copied to {str(target)!r}: {error}.",
                hint="Give another folder, or none: the file is used where it lies.",
            ) from error
        return str(target)


class RemoteDatasetSource(_UriSource):
    """A file in a store that a URI names: ``s3://bucket/data.csv``. Its type is the scheme."""

    @property
    def source_type(self) -> str:  # type: ignore[override]  # it depends on the URI
        """The scheme of the URI."""
        return _scheme(self.uri)


class HTTPDatasetSource(DatasetSource):
    """A file at a web address."""

    source_type = "http"

    def __init__(self, url: str) -> None:
        if _scheme(url) not in {"http", "https"} or _parts(url) is None:
            raise InvalidParameterError(
                f"{url!r} is no web address; use http://... or https://...",
                hint="Give a file's path or another URI as it is: source='data.csv'.",
            )
        self.url = url

    def to_dict(self) -> dict[str, Any]:
        """Return the address in a dict."""
        return {"url": self.url}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> HTTPDatasetSource:
        """Return the source at this address."""
        return cls(_required(source, "url"))

    def load(self, dst_path: str | os.PathLike[str] | None = None) -> str:
        """Download the file, and return its path.

        Parameters
        ----------
        dst_path
            Folder to put it into; made if it is not there. Default: a new temporary folder.

        Raises
        ------
        StoreError
            The server did not give the file, or not all of it.
        """
        folder = Path(tempfile.mkdtemp() if dst_path is None else dst_path)
        return str(download(self.url, folder))


class DeltaDatasetSource(DatasetSource):
    """A Delta table, by its path or its name."""

    source_type = "delta_table"

    def __init__(
        self,
        path: str | None = None,
        delta_table_name: str | None = None,
        delta_table_version: int | None = None,
        delta_table_id: str | None = None,
    ) -> None:
        if (path is None) == (delta_table_name is None):
            raise InvalidParameterError(
                f"path={path!r} and delta_table_name={delta_table_name!r} do not name one Delta "
                "table; give one of them.",
                hint="For example DeltaDatasetSource(path='lake/wine').",
            )
        self.path, self.delta_table_name = path, delta_table_name
        self.delta_table_version, self.delta_table_id = delta_table_version, delta_table_id

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of the table."""
        return {key: value for key, value in vars(self).items() if value is not None}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> DeltaDatasetSource:
        """Return the source of this table."""
        names = ("path", "delta_table_name", "delta_table_version", "delta_table_id")
        return cls(**{name: source.get(name) for name in names})


class HuggingFaceDatasetSource(DatasetSource):
    """A dataset of the Hugging Face hub: arguments of ``datasets.load_dataset``."""

    source_type = "hugging_face"

    def __init__(  # noqa: PLR0917 - MLflow's signature
        self,
        path: str,
        config_name: str | None = None,
        data_dir: str | None = None,
        data_files: Any = None,
        split: Any = None,
        revision: Any = None,
    ) -> None:
        self.path, self.config_name, self.data_dir = path, config_name, data_dir
        self.data_files, self.split, self.revision = data_files, split, revision

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**vars(self), "split": None if self.split is None else str(self.split)}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> HuggingFaceDatasetSource:
        """Return the source with these arguments."""
        names = ("config_name", "data_dir", "data_files", "revision")
        split = source.get("split")
        return cls(
            _required(source, "path"),
            split=None if split == "None" else split,  # as MLflow writes it
            **{name: source.get(name) for name in names},
        )

    def load(self, **kwargs: Any) -> Any:
        """Return the dataset as ``datasets.load_dataset`` gives it; other arguments go there.

        Raises
        ------
        MissingPackageError
            The package 'datasets' is not installed.
        """
        try:
            import datasets  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise MissingPackageError(
                "Loading a dataset of the Hugging Face hub needs the package 'datasets'.",
                hint="pip install datasets",
            ) from error
        arguments = {**self.to_dict(), **kwargs}
        return datasets.load_dataset(name=arguments.pop("config_name"), **arguments)


_BY_TYPE: dict[str, type[DatasetSource]] = {
    kind.source_type: kind
    for kind in (
        CodeDatasetSource,
        LocalDatasetSource,
        HTTPDatasetSource,
        DeltaDatasetSource,
        HuggingFaceDatasetSource,
    )
} | dict.fromkeys(REMOTE, RemoteDatasetSource)


def resolve_source(source: Any = None) -> Any:
    """Return the source that a path, a URI or nothing (this code) names.

    Raises
    ------
    InvalidParameterError
        It names no place of a known kind.

    Examples
    --------
    >>> resolve_source("data/wine.csv"), resolve_source("s3://lake/wine.csv").source_type
    (<LocalDatasetSource {"uri": "data/wine.csv"}>, 's3')
    """
    if source is None:
        return CodeDatasetSource.here()
    if callable(getattr(source, "to_json", None)):  # ours, MLflow's, or one like these
        return source
    if not isinstance(source, str | os.PathLike):
        raise InvalidParameterError(
            f"A {type(source).__name__} is no source of a dataset; use a path, a URI or a "
            "DatasetSource.",
            hint="For example source='data/wine.csv'.",
        )
    uri = os.fspath(source)
    uri = os.fsdecode(uri) if isinstance(uri, bytes) else uri
    word = _scheme(uri)
    if word in {"", "file"} or isinstance(source, os.PathLike):
        return LocalDatasetSource(uri)
    if word in {"http", "https"}:
        return HTTPDatasetSource(uri)
    if word in REMOTE:
        return RemoteDatasetSource(uri)
    raise InvalidParameterError(
        f"{uri!r} is no source of a dataset: the scheme {word!r} is none of file, http, https, "
        f"{', '.join(REMOTE)}.",
        hint="Give a path as pathlib.Path if its name has a colon.",
    )


def source_from_json(text: str, source_type: str) -> DatasetSource:
    """Return the source that JSON of a type describes, MLflow's too.

    Raises
    ------
    InvalidParameterError
        The type is unknown, or the JSON is not of this type.

    Examples
    --------
    >>> source_from_json('{"uri": "a.csv"}', "local")
    <LocalDatasetSource {"uri": "a.csv"}>
    """
    kind = _BY_TYPE.get(source_type)
    if kind is None:
        raise InvalidParameterError(
            f"{source_type!r} is no type of source; known are {', '.join(sorted(_BY_TYPE))}.",
            hint="Only datasets that were made with a source have one.",
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidParameterError(
            f"{text!r} is no source of type {source_type!r}; it has to be an object in JSON.",
            hint="It is what DatasetSource.to_json() returns.",
        )
    return kind.from_dict(found)


def _required(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    if not isinstance(value, str):
        raise InvalidParameterError(
            f"{dict(source)!r} is no source of this type: it has no {key!r}.",
            hint="It is what DatasetSource.to_dict() returns.",
        )
    return value


def _scheme(uri: str) -> str:
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", uri)  # one letter is a drive of Windows
    return found[1].lower() if found else ""


def _parts(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:  # a bracket that is not closed, for one
        return None


def _local_path(uri: str) -> str:
    if not uri.lower().startswith("file:"):
        return uri
    parts = _parts(uri)
    if parts is None or parts.netloc not in {"", "localhost", "127.0.0.1", "."}:
        raise InvalidParameterError(
            f"{uri!r} names no file of this machine.",
            hint="Use file:///path or the path alone.",
        )
    return unquote(parts.path)
