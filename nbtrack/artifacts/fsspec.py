"""Contents at an address of fsspec; the one module that imports it.

Whatever such a file system raises becomes one of nbtrack's errors. Nothing of it is kept here:
a file system made before a fork cannot be used after it, and fsspec makes a new one then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nbtrack.addresses import check_address
from nbtrack.artifacts.encoding import CHUNK
from nbtrack.errors import NbtrackError, NotFoundError, StoreError

_BLOCK = 8 * CHUNK  # of one request
_MOST_BLOCKS = 5_000  # of one file; S3 has no more than 10,000


def read(uri: str) -> Iterator[bytes]:
    """Yield a file in pieces.

    Raises
    ------
    NotFoundError, StoreError
        It is not there; the address cannot be reached.
    """
    with _translated(uri):
        fs, path = _file_system(uri)
        with fs.open(path, "rb", block_size=_BLOCK, cache_type="readahead") as file:
            while piece := file.read(CHUNK):
                yield piece


def write(uri: str, source: Path, *, stop: Callable[[], bool]) -> None:
    """Bring a local file to an address in pieces, unless it is there in its whole length.

    Parameters
    ----------
    stop
        Asked between the pieces whether to give up.

    Raises
    ------
    StoreError
        The address cannot be reached; it was given up; fewer bytes have arrived.
    """
    size = source.stat().st_size
    if length(uri) == size:
        return
    with _translated(uri):
        fs, path = _file_system(uri)
        block = max(_BLOCK, size // _MOST_BLOCKS)
        try:
            target = fs.open(path, "wb", block_size=block)
        except FileNotFoundError:  # where there are folders; elsewhere this would make a bucket
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            target = fs.open(path, "wb", block_size=block)
        try:
            with source.open("rb") as file:
                while piece := file.read(CHUNK):
                    if stop():
                        raise StoreError(f"Bringing a content to {uri} was given up.")
                    target.write(piece)
            target.close()
        except BaseException:
            _discard(target)
            raise
    if length(uri) != size:
        raise StoreError(
            f"Of the {size} bytes of {uri} not all have arrived.", hint="It is tried again."
        )


def _discard(file: Any) -> None:
    """Have what was written of a file forgotten, where the file system can."""
    # The error that brought us here is the one that is told.
    with contextlib.suppress(Exception):
        file.discard()
    # Otherwise the garbage collector would close it, and by that complete it.
    with contextlib.suppress(Exception):
        file.closed = True


def length(uri: str) -> int | None:
    """Return the length of a file, asked anew; None if there is none.

    Raises
    ------
    StoreError
        The address cannot be reached.
    """
    try:
        with _translated(uri):
            fs, path = _file_system(uri)
            fs.invalidate_cache(path.rpartition("/")[0])
            return int(fs.info(path)["size"])
    except NotFoundError:
        return None


def names(uri: str) -> list[str]:
    """Return the names of the files below an address, relative to it.

    Raises
    ------
    StoreError
        The address cannot be reached.
    """
    try:
        with _translated(uri):
            fs, path = _file_system(uri)
            fs.invalidate_cache()
            below = path.rstrip("/") + "/"
            return [name.removeprefix(below) for name in fs.find(path) if name.startswith(below)]
    except NotFoundError:
        return []


def download(uri: str, folder: Path) -> None:
    """Write all files below an address into a folder.

    Raises
    ------
    NotFoundError, StoreError
        There is nothing; the address cannot be reached.
    """
    uri = uri.rstrip("/")
    found = names(uri)
    if not found:
        raise NotFoundError(f"There is nothing at {uri}.")
    for name in found:
        place = (folder / name).resolve()
        if not place.is_relative_to(folder.resolve()):
            raise NotFoundError(f"{uri} has a file {name!r}, which would lie outside of it.")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            file.writelines(read(f"{uri}/{name}"))


def remove(uri: str) -> None:
    """Delete a file; one that is not there is none.

    Raises
    ------
    StoreError
        The address cannot be reached.
    """
    with contextlib.suppress(NotFoundError), _translated(uri):
        fs, path = _file_system(uri)
        fs.rm_file(path)


def _file_system(uri: str) -> tuple[Any, str]:
    check_address(uri)  # a database may come from anywhere, also with addresses that chain others
    import fsspec.core

    fs, path = fsspec.core.url_to_fs(uri)
    return fs, str(path)


@contextlib.contextmanager
def _translated(uri: str) -> Iterator[None]:
    try:
        yield
    except NbtrackError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(f"There is nothing at {uri}.") from error
    except Exception as error:  # of any library that fsspec uses
        raise StoreError(
            f"The address {uri} cannot be reached: {type(error).__name__}: {str(error)[:200]}.",
            hint="Look at the network, and at who you are to it.",
        ) from error
