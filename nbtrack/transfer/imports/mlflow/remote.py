"""Files at addresses of fsspec's: S3 and others."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from nbtrack.errors import StoreError
from nbtrack.transfer.imports.base import ForeignFile

_PIECE = 2**20


class RemoteRoot:
    """A folder at an address of fsspec's.

    Raises
    ------
    StoreError
        fsspec, or what it needs for this address, is not installed.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._names: set[str] | None = None
        try:
            from fsspec.core import url_to_fs

            self._files, self._path = url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"{address} cannot be read: {error}.",
                hint="Install fsspec and what it needs for such addresses, for example s3fs.",
            ) from error

    def _asked(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except FileNotFoundError:
            raise
        except Exception as error:  # each kind of store has errors of its own
            raise StoreError(f"{self._address} cannot be read: {error}.") from error

    def names(self) -> set[str]:
        """Return what is right below it: none if it is not there."""
        if self._names is None:
            try:
                found = self._asked(self._files.ls, self._path, detail=False)
            except FileNotFoundError:
                found = []
            self._names = {PurePosixPath(name).name for name in found}
        return self._names

    def files(self) -> Iterator[ForeignFile]:
        """Yield all files below it."""
        try:
            found = self._asked(self._files.find, self._path, detail=True)
        except FileNotFoundError:
            return
        top = self._path.rstrip("/") + "/"
        for name, facts in sorted(found.items()):
            if name.startswith(top):
                yield ForeignFile(name.removeprefix(top), self._opener(name), facts.get("size"))

    def _opener(self, name: str) -> Callable[[], BinaryIO]:
        def opened() -> BinaryIO:
            return io.BufferedReader(_Stream(self._asked(self._files.open, name, "rb")), _PIECE)

        return opened

    def read(self, path: str, limit: int) -> bytes | None:
        """Return the bytes of a file; None if it is not there."""
        try:
            with self._opener(f"{self._path.rstrip('/')}/{path}")() as file:
                return file.read(limit)
        except FileNotFoundError:
            return None


class _Stream(io.RawIOBase):
    """What fsspec opened; whatever goes wrong while it is read is an OSError."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        """Return whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what comes next."""
        try:
            data = self._file.read(len(buffer))
        except Exception as error:  # each kind of store has errors of its own
            raise OSError(f"it cannot be read: {error}") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close it."""
        self._file.close()
        super().close()
