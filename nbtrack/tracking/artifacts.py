"""The functions of ``nbtrack.artifacts``, as ``mlflow.artifacts`` has them.

Artifacts are named by ``runs:/<run>/<path>`` or ``models:/<name>/<version>``, by a run and a path,
or by a path of the disk.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from nbtrack.errors import InvalidParameterError, MissingPackageError, NotFoundError
from nbtrack.registry import RunUri
from nbtrack.tracking.client import Client
from nbtrack.tracking.paths import AnyPath
from nbtrack.types import FileInfo


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: AnyPath | None = None,
    tracking_uri: str | None = None,
) -> str:
    """Write an artifact, or all below a path, into a folder; return where it is.

    Parameters
    ----------
    artifact_uri
        ``runs:/<run>/<path>``, ``models:/<name>/<version>``, or a path of the disk.
    run_id, artifact_path
        Instead of a URI; without a path, all artifacts of the run.
    dst_path
        The folder, made if it is not there; default: a temporary one. A path of the disk is
        copied only if this is given.
    tracking_uri
        The database; default: the one in use.

    Raises
    ------
    NotFoundError, InvalidParameterError, IntegrityError
        There is none; both or none of URI and run are given; its bytes are damaged.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from pathlib import Path
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.log_text("hello", "notes/a.txt")
    >>> path = nbtrack.artifacts.download_artifacts(f"runs:/{run.run_id}/notes/a.txt")
    >>> Path(path).read_text()
    'hello'
    """
    client = Client(tracking_uri)
    target = _target(client, artifact_uri, run_id, artifact_path)
    if isinstance(target, RunUri):
        return _download(client, target, dst_path)
    if not target.exists():
        raise NotFoundError(
            f"There is no artifact {artifact_uri!r}.", hint="Use runs:/<run id>/<path>, or a path."
        )
    if dst_path is None:
        return str(target.absolute())
    place = Path(dst_path).absolute() / target.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        return str(shutil.copytree(target, place, dirs_exist_ok=True))
    return str(shutil.copyfile(target, place))


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """Return the files and folders right below a path among the artifacts of a run.

    Parameters
    ----------
    artifact_uri
        ``runs:/<run>`` or ``runs:/<run>/<path>``.
    run_id, artifact_path
        Instead of a URI.
    tracking_uri
        The database; default: the one in use.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such run; both or none of URI and run are given.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.log_text("hello", "notes/a.txt")
    >>> nbtrack.artifacts.list_artifacts(run_id=run.run_id)
    [FileInfo(path='notes', is_dir=True, file_size=None)]
    """
    client = Client(tracking_uri)
    target = _target(client, artifact_uri, run_id, artifact_path)
    if isinstance(target, RunUri):
        return client.list_artifacts(target.run_id, target.path)
    entries = sorted(target.iterdir()) if target.is_dir() else []
    return [FileInfo(x.name, x.is_dir(), None if x.is_dir() else x.stat().st_size) for x in entries]


def load_text(artifact_uri: str) -> str:
    """Return a text among the artifacts.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is none; it is no text in UTF-8.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.log_text("hello", "a.txt")
    >>> nbtrack.artifacts.load_text(f"runs:/{run.run_id}/a.txt")
    'hello'
    """
    try:
        return _read(artifact_uri).decode()
    except UnicodeDecodeError as error:
        raise _unreadable(artifact_uri, "text in UTF-8", error) from None


def load_dict(artifact_uri: str) -> Any:
    """Return what a JSON file among the artifacts holds.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is none; it is no JSON.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.log_dict({"a": 1}, "a.json")
    >>> nbtrack.artifacts.load_dict(f"runs:/{run.run_id}/a.json")
    {'a': 1}
    """
    try:
        return json.loads(_read(artifact_uri).decode())
    except (ValueError, RecursionError) as error:
        raise _unreadable(artifact_uri, "JSON", error) from None


def load_image(artifact_uri: str) -> Any:
    """Return an image among the artifacts, as a PIL image.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is none; it is no image.
    MissingPackageError
        Pillow is not installed.

    Examples
    --------
    >>> import nbtrack, numpy, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.log_image(numpy.zeros((2, 3)), "a.png")
    >>> nbtrack.artifacts.load_image(f"runs:/{run.run_id}/a.png").size
    (3, 2)
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingPackageError(
            "Loading an image needs the package pillow.", hint="pip install pillow"
        ) from None
    try:
        image = Image.open(io.BytesIO(_read(artifact_uri)))
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(artifact_uri, "image that Pillow knows", error) from None
    return image


def _download(client: Client, target: RunUri, dst_path: AnyPath | None) -> str:
    """Write an artifact right into a folder, as MLflow does: not below the path that it has."""
    name = target.path.strip("/").rpartition("/")[2]
    if dst_path is None or name == target.path:
        return client.download_artifacts(target.run_id, target.path, dst_path)
    folder = Path(dst_path).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nbtrack-", dir=folder) as between:
        found = Path(client.download_artifacts(target.run_id, target.path, between))
        place = folder / name
        if found.is_dir():
            shutil.copytree(found, place, dirs_exist_ok=True)
        else:
            found.replace(place)
    return str(place)


def _read(artifact_uri: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="nbtrack-") as folder:
        file = Path(download_artifacts(artifact_uri, dst_path=folder))
        if file.is_dir():
            raise InvalidParameterError(f"{artifact_uri!r} is a folder.", hint="Name a file in it.")
        return file.read_bytes()


def _target(
    client: Client, artifact_uri: str | None, run_id: str | None, artifact_path: str | None
) -> RunUri | Path:
    if (artifact_uri is None) == (run_id is None):
        raise InvalidParameterError(
            "Give either artifact_uri or run_id.",
            hint="For example artifact_uri='runs:/<run id>/<path>'.",
        )
    if run_id is not None:
        return RunUri(run_id, artifact_path or "")
    if artifact_path is not None:
        raise InvalidParameterError(
            "artifact_path belongs to run_id; a URI has its path in it.",
            hint="For example artifact_uri='runs:/<run id>/<path>'.",
        )
    uri = str(artifact_uri)
    scheme, _, rest = uri.partition(":")
    if scheme == "runs" and (run := rest.strip("/")) and "/" not in run:
        return RunUri(unquote(run), "")  # all artifacts of the run
    if scheme == "file":
        return Path(url2pathname(urlsplit(uri).path))
    if "://" in uri:
        raise InvalidParameterError(
            f"Artifacts cannot be taken from {uri!r}.",
            hint="Use runs:/<run id>/<path>, models:/<name>/<version>, or a path of the disk.",
        )
    return client.locate(uri)


def _unreadable(uri: str, kind: str, error: Exception) -> InvalidParameterError:
    return InvalidParameterError(
        f"The artifact {uri!r} is no {kind}: {str(error)[:200]}.",
        hint="nbtrack.artifacts.download_artifacts gives the file as it is.",
    )
