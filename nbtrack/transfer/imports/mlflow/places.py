"""Where the files of runs and of logged models lie: beside the store, elsewhere, or far away.

A store says where it put them; if it was moved since, they are looked for where it is now. A folder
that a store names is read only if MLflow could have made it: with the run's or the model's id in
its path. Otherwise a store from somewhere could name any folder of this machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from nbtrack.errors import NbtrackError
from nbtrack.transfer.imports.base import ForeignFile
from nbtrack.transfer.imports.mlflow.files import Tell, open_plain, read_bytes, walk
from nbtrack.transfer.imports.mlflow.remote import RemoteRoot

_SERVED = "mlflow-artifacts"
_TAIL = 3  # experiment, run, artifacts
_ENDS = 4  # parts of a path that are looked for beside the store


class Root(Protocol):
    """A folder of files."""

    def names(self) -> set[str]:
        """Return what is right below it."""

    def files(self) -> Iterator[ForeignFile]:
        """Yield all files below it, by their path from it."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Return the bytes of a file that is not to be long; None if it is not there."""


class LocalRoot:
    """A folder of this machine."""

    def __init__(self, path: Path, tell: Tell) -> None:
        self.path = path
        self._tell = tell

    def names(self) -> set[str]:
        """Return what is right below it."""
        return {entry.name for entry in self.path.iterdir()}

    def files(self) -> Iterator[ForeignFile]:
        """Yield all files below it."""
        for path, file in walk(self.path, self._tell):
            yield ForeignFile(path, _opener(file), file.stat().st_size)

    def read(self, path: str, limit: int) -> bytes | None:
        """Return the bytes of a file; None if it is not there."""
        file = self.path / path
        return read_bytes(file, limit) if file.is_file() and not file.is_symlink() else None


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: open_plain(path)


class Places:
    """Finds the folder that a store means.

    Parameters
    ----------
    base
        The folder that the store is in.
    destination
        Where a server kept what it served; None: ``mlartifacts`` beside the store, if it is there.
    tell
        Told what cannot be read.
    """

    def __init__(self, base: Path, destination: str | Path | None, tell: Tell) -> None:
        self._base = base
        self._tell = tell
        self._destination = self._as_destination(destination)
        self._absent: Counter[str] = Counter()  # runs without files, by the reason
        self._gone: Counter[Path] = Counter()  # and by the place that is not here
        self._unreachable: dict[str, str] = {}  # why, by the first parts of addresses
        self._found = 0  # folders that are there, wherever that is
        self._known: dict[tuple[str, ...], list[Path]] = {}

    def _as_destination(self, destination: str | Path | None) -> str | Path | None:
        if destination is None:
            found = self._base / "mlartifacts"
            return found if found.is_dir() else None
        path = local_path(str(destination))
        return str(destination) if path is None else path.absolute()

    def root(self, uri: str, owner: str, beside: Path | None = None) -> Root | None:
        """Return the folder of a run or a logged model; None if there is none, which may be told.

        Parameters
        ----------
        uri
            As the store says it.
        owner
            The id of the run or the model.
        beside
            Where it is if nothing else was said.
        """
        if beside is not None and _has_files(beside):
            return LocalRoot(beside, self._tell)
        if not uri:
            return None
        path = local_path(uri)
        if path is not None:
            # What a folder mlruns keeps itself is there, or there are no files.
            is_own = beside is not None and path.parts[-_TAIL:] == beside.parts[-_TAIL:]
            return None if is_own and not path.is_dir() else self._local(path, owner)
        if urlsplit(uri).scheme == _SERVED:
            return self._served(uri, owner)
        return self._remote(uri, owner)

    def _remote(self, address: str, owner: str) -> Root | None:
        """Return the folder at an address; one that cannot be reached is asked once."""
        if owner not in PurePosixPath(address).parts or "::" in address or ".." in address:
            self._absent[f"{address} is no folder that MLflow makes for a run"] += 1
            return None
        host = "//".join(urlsplit(address)[:2])
        if host not in self._unreachable:
            try:
                root = RemoteRoot(address)
                root.names()
            except NbtrackError as error:
                self._unreachable[host] = error.message.rstrip(".")
            else:
                return root
        self._absent[self._unreachable[host]] += 1
        return None

    def _local(self, path: Path, owner: str) -> Root | None:
        if owner not in path.parts or ".." in path.parts:
            self._absent[f"{path} is no folder that MLflow makes for a run"] += 1
            return None
        place = path.parts.index(owner)
        for top in self._tops(path.parts[:place]):
            found = top.joinpath(*path.parts[place:])
            if found.is_dir() and owner in found.resolve().parts:  # else it is a link elsewhere
                self._found += 1
                return LocalRoot(found, self._tell)
        # A run that has no files has no folder. But where not even the place of all of them is
        # here, the store comes from another machine.
        place -= 3 if path.parts[place - 1] == "models" else 2
        home = Path(*path.parts[: max(place, 1)])
        if path.is_absolute() and not home.is_dir():
            self._gone[home] += 1
        return None

    def _tops(self, parts: tuple[str, ...]) -> list[Path]:
        """Return where runs of an experiment may be: where the store says, and beside it.

        Parameters
        ----------
        parts
            Of the path that the store says.
        """
        if parts not in self._known:
            near = [self._base, self._base / "mlruns"]
            if isinstance(self._destination, Path):
                near.append(self._destination)
            candidates = [self._base.joinpath(*parts)]  # the path itself, if it is absolute
            for count in range(min(_ENDS, len(parts) - 1), 0, -1):
                candidates += [top.joinpath(*parts[-count:]) for top in near]
            self._known[parts] = [path for path in candidates if path.is_dir()]
        return self._known[parts]

    def _served(self, uri: str, owner: str) -> Root | None:
        relative = PurePosixPath(unquote(urlsplit(uri).path).lstrip("/"))
        if ".." in relative.parts or owner not in relative.parts:
            self._absent[f"{uri} is no place that MLflow makes for a run"] += 1
        elif self._destination is None:
            self._absent[
                "a server kept them (mlflow-artifacts:), and its folder was not named by "
                "artifacts_destination"
            ] += 1
        elif isinstance(self._destination, str):
            return self._remote(f"{self._destination.rstrip('/')}/{relative}", owner)
        else:
            folder = self._destination / relative
            if folder.is_dir():
                return LocalRoot(folder, self._tell)
            if not self._destination.is_dir():
                self._absent[f"there is no folder {self._destination}"] += 1
        return None

    def tell_absent(self) -> None:
        """Tell of how many runs and models no files were found, and why."""
        if not self._found:  # else they came along, and these have none
            for home, count in self._gone.items():
                self._absent[f"{home} is not here, nor are they beside the store"] = count
        for why, count in self._absent.items():
            what = "1 run or model" if count == 1 else f"{count} runs and models"
            self._tell(f"The files of {what}, if they had any, were left out: {why}.")
        self._absent.clear()
        self._gone.clear()


def _has_files(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and any(path.iterdir())


def local_path(uri: str) -> Path | None:
    """Return the path that a URI means; None if it is of another scheme.

    Examples
    --------
    >>> local_path("file:///data/a%20b").as_posix(), local_path("/data").as_posix()
    ('/data/a b', '/data')
    >>> local_path("s3://bucket/data")
    """
    scheme = urlsplit(uri).scheme
    if scheme == "file":
        return Path(url2pathname(urlsplit(uri).path))
    if len(scheme) <= 1:  # C:\ is no scheme
        return Path(uri)
    return None
