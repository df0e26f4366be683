"""Artifacts of the runs and logged models of a tracking server.

Where they lie the server says, by a URI: at itself (``mlflow-artifacts:``), so that they go through
it; on a disk that this machine has, too; or in a storage that fsspec knows. Files are streamed.
"""

from __future__ import annotations

import builtins
import io
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from nbtrack.artifacts import places
from nbtrack.artifacts.base import Files
from nbtrack.artifacts.digest import check_path
from nbtrack.artifacts.encoding import CHUNK
from nbtrack.artifacts.records import PutFiles
from nbtrack.db import LogSink
from nbtrack.errors import InvalidParameterError, MissingPackageError, NotFoundError
from nbtrack.types import ArtifactInfo, ModelInfo
from nbtrack.wire.http import FILES, Http

_PROXIED = "mlflow-artifacts"


class _Root(Protocol):
    """A folder somewhere, with the files of one run or model."""

    def write(self, path: str, data: bytes | IO[bytes]) -> None: ...
    def copy_to(self, path: str, target: IO[bytes]) -> None: ...
    def entries(self, path: str) -> Iterator[tuple[str, int | None]]:
        """Yield what is right below a path: its name, and its size; None for a folder."""
        ...


class RestArtifacts:
    """An `ArtifactStore` of a tracking server.

    Parameters
    ----------
    http
        The server.
    sink
        Where records go: the sender.
    uri_of
        Tells where the artifacts of a run, or of a logged model (``m-...``), are.
    models_of
        Tells the logged models of a run, newest first: their files can be read as if they were
        the run's own, below the name of the model.
    """

    def __init__(
        self,
        http: Http,
        sink: LogSink,
        uri_of: Callable[[str], str],
        models_of: Callable[[str], Sequence[ModelInfo]],
    ) -> None:
        self._http = http
        self._sink = sink
        self._uri_of = uri_of
        self._models_of = models_of

    def put(self, run_id: str, files: Files) -> None:
        """Store files; returns at once."""
        self._sink.submit(PutFiles(run_id, {check_path(path): files[path] for path in files}))

    def put_file(self, run_id: str, path: str, file: Path) -> None:
        """Store a file of the disk as it is now; a long one is sent at once, in pieces."""
        check_path(path)
        if file.stat().st_size <= places.file_limit():
            self.put(run_id, {path: file.read_bytes()})
            return
        self._sink.flush()  # an older file of that path must not come after it
        with file.open("rb") as data:
            self.write(run_id, path, data)

    def send(self, record: PutFiles) -> None:
        """Write files now: for the sender's thread."""
        for path, data in record.files.items():
            self.write(record.run_id, path, data)

    def write(self, owner: str, path: str, data: bytes | IO[bytes]) -> None:
        """Write one file of a run or a logged model now."""
        self._root(owner).write(check_path(path), data)

    def list(self, run_id: str, path: str = "") -> list[ArtifactInfo]:
        """Return the files of a run that are at or below a path, sorted; without digests."""
        self._sink.flush()
        path = path.strip("/")
        root = self._root(run_id)
        found = sorted(_walk(root, path))
        if path and not found:
            folder, _, name = path.rpartition("/")
            found = [
                (path, size) for n, size in root.entries(folder) if n == name and size is not None
            ]
        return [ArtifactInfo(file, "", size) for file, size in found]

    def read(self, run_id: str, path: str) -> bytes:
        """Return the bytes of a file."""
        self._sink.flush()
        target = io.BytesIO()
        self._copy(run_id, path, target)
        return target.getvalue()

    def stream(self, run_id: str, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces, once all of them are here."""
        self._sink.flush()
        with tempfile.TemporaryFile() as file:
            self._copy(run_id, path, file)
            file.seek(0)
            while piece := file.read(CHUNK):
                yield piece

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Write a file, or all files below a path, into a folder; return where `path` is now."""
        owner, below = run_id, ""
        files = self.list(run_id, path)
        if not files and path:
            owner, below, files = self._in_model(run_id, path)
        if not files:
            raise NotFoundError(f"The run {run_id} has no artifact {path!r}.")
        for file in files:
            # A server may say anything: its paths are checked before something is written.
            place = target / check_path(below + file.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".nbtrack-{secrets.token_hex(8)}.part")
            try:
                with part.open("xb") as out:
                    self._copy(owner, file.path, out)
                part.replace(place)  # a file appears under its name when it is whole
            finally:
                part.unlink(missing_ok=True)
        return target / path

    def _in_model(self, run_id: str, path: str) -> tuple[str, str, builtins.list[ArtifactInfo]]:
        """Return the logged model whose files a path means, its name as a folder, the files."""
        for model in self._models_of(run_id):
            folder = f"{model.artifact_path}/"
            if model.artifact_path and f"{path}/".startswith(folder):
                return model.model_id, folder, self.list(model.model_id, path[len(folder) :])
        return run_id, "", []

    def _copy(self, run_id: str, path: str, target: IO[bytes]) -> None:
        try:
            self._root(run_id).copy_to(check_path(path), target)
        except (NotFoundError, FileNotFoundError, IsADirectoryError):
            raise NotFoundError(f"The run {run_id} has no artifact {path!r}.") from None

    def _root(self, owner: str) -> _Root:
        uri = self._uri_of(owner)
        parts = urlsplit(uri)
        proxy = f"{self._http.address}{FILES}"
        if uri.startswith(proxy):
            return _Proxied(self._http, unquote(uri.removeprefix(proxy)))
        if parts.scheme == _PROXIED:
            if parts.netloc and not str(self._http.address).endswith(f"//{parts.netloc}"):
                raise InvalidParameterError(
                    f"The artifacts of {owner} are at another server, {parts.netloc!r}.",
                    hint=f"Name that one as the tracking URI, and not {self._http.address}.",
                )
            return _Proxied(self._http, unquote(parts.path).strip("/"))
        if parts.scheme == "file":
            return _Local(Path(url2pathname(parts.path)))
        if len(parts.scheme) <= 1:  # a path; one letter is a Windows drive
            return _Local(Path(uri))
        return _Elsewhere(uri)


def _walk(root: _Root, folder: str) -> Iterator[tuple[str, int]]:
    """Yield all files below a folder, and their sizes."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        for name, size in root.entries(folder):
            path = check_path(f"{folder}/{name}" if folder else name)
            if size is None:
                waiting.append(path)
            else:
                yield path, size


class _Proxied:
    """Files that go through the server."""

    def __init__(self, http: Http, root: str) -> None:
        self._http = http
        self._root = root

    def write(self, path: str, data: bytes | IO[bytes]) -> None:
        self._http.upload(f"{self._root}/{path}", data)

    def copy_to(self, path: str, target: IO[bytes]) -> None:
        self._http.download(f"{self._root}/{path}", target)

    def entries(self, path: str) -> Iterator[tuple[str, int | None]]:
        folder = f"{self._root}/{path}".rstrip("/")
        found = self._http.call("GET", FILES.rstrip("/"), query={"path": folder})
        for item in found.get("files", ()):
            name = str(item["path"]).rstrip("/").rpartition("/")[2]
            yield name, None if item.get("is_dir") else int(item.get("file_size") or 0)


class _Local:
    """Files on a disk that server and client share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, data: bytes | IO[bytes]) -> None:
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as out:
            shutil.copyfileobj(io.BytesIO(data) if isinstance(data, bytes) else data, out)

    def copy_to(self, path: str, target: IO[bytes]) -> None:
        with (self._root / path).open("rb") as file:
            shutil.copyfileobj(file, target)

    def entries(self, path: str) -> Iterator[tuple[str, int | None]]:
        folder = self._root / path
        for entry in folder.iterdir() if folder.is_dir() else ():
            yield entry.name, None if entry.is_dir() else entry.stat().st_size


class _Elsewhere:
    """Files in a storage that fsspec knows."""

    def __init__(self, uri: str) -> None:
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(uri)
        except (ImportError, ValueError) as error:
            scheme = uri.partition(":")[0]
            raise MissingPackageError(
                f"Artifacts at {scheme}: cannot be read or written: {str(error)[:200]}.",
                hint="pip install fsspec, and the package it names for this kind of storage "
                "(s3fs, gcsfs, adlfs ...).",
            ) from None

    def write(self, path: str, data: bytes | IO[bytes]) -> None:
        with self._files.open(f"{self._root}/{path}", "wb") as out:
            shutil.copyfileobj(io.BytesIO(data) if isinstance(data, bytes) else data, out)

    def copy_to(self, path: str, target: IO[bytes]) -> None:
        with self._files.open(f"{self._root}/{path}", "rb") as file:
            shutil.copyfileobj(file, target)

    def entries(self, path: str) -> Iterator[tuple[str, int | None]]:
        folder = f"{self._root}/{path}".rstrip("/")
        try:
            found: list[dict[str, Any]] = self._files.ls(folder, detail=True)
        except FileNotFoundError:
            return
        for item in found:
            name = str(item["name"]).rstrip("/").rpartition("/")[2]
            if str(item["name"]).rstrip("/") != folder:
                yield name, None if item["type"] == "directory" else int(item.get("size") or 0)
