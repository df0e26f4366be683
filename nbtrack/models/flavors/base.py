"""What a flavor is: how models of one library become files, and come back.

Taking a snapshot is the only part that happens in the user's call: afterwards the user may change
the model. Everything else is done later, from the bytes.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nbtrack.errors import InvalidParameterError

_FRAMES = 2**20  # longer parts of a pickle are no frames


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model as bytes.

    Parameters
    ----------
    flavor
        Name of the flavor.
    model_class
        ``module.Class`` of the model.
    files
        Model data by file name.
    native
        The flavor's own entry in MLmodel.
    pyfunc
        What the ``python_function`` entry says besides the environment.
    requirements
        Pinned packages that loading needs, as pip writes them.
    signature
        Schemas of what the model takes and gives, as MLmodel has them: ``inputs`` and ``outputs``,
        each as JSON.
    example
        Which of the files are an example of what it takes, as MLmodel has it.
    """

    flavor: str
    model_class: str
    files: Mapping[str, bytes]
    native: Mapping[str, Any]
    pyfunc: Mapping[str, Any]
    requirements: tuple[str, ...] = field(default=())
    signature: Mapping[str, str | None] | None = None
    example: Mapping[str, str] | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of model data."""
        return sum(len(data) for data in self.files.values())


class Flavor(Protocol):
    """A module with these two functions."""

    def snapshot(self, model: object, *, max_bytes: int) -> Snapshot:
        """Return the model as bytes.

        Raises
        ------
        ModelTooLargeError
            It takes more than `max_bytes`.
        """

    def load(self, directory: Path, native: Mapping[str, Any]) -> object:
        """Return the model of a directory whose files were found trustworthy."""


class ModelTooLargeError(InvalidParameterError):
    """The model takes more bytes than allowed."""


class BoundedBuffer(io.RawIOBase):
    """A file in memory that refuses to grow beyond a size.

    Parameters
    ----------
    max_bytes
        The limit: a model is given up while it is pickled, before it fills the memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self._parts: list[bytes] = []
        self._left = max_bytes
        self._max_bytes = max_bytes

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Keep data.

        Raises
        ------
        ModelTooLargeError
            The limit is passed.
        """
        part = bytes(data)
        self._left -= len(part)
        if self._left < 0:
            raise ModelTooLargeError(
                f"The model takes more than {self._max_bytes / 2**20:g} MB.",
                hint="Raise the limit: %config NBTrack.max_model_mb = ...",
            )
        self._parts.append(part)
        return len(part)

    def getvalue(self) -> bytes:
        """Return all that was written."""
        return b"".join(self._parts)

    def mentions(self, text: bytes) -> bool:
        """Whether a part has `text` in it, those aside that are the content of one large array."""
        return any(text in part for part in self._parts if len(part) <= _FRAMES)


def pickled(model: object, max_bytes: int) -> bytes:
    """Return a pickle that loads in another process, with the notebook's own classes by value.

    What needs none of these is pickled by `pickle`: cloudpickle looks at each of the thousands of
    objects in a forest in Python. A name of ``__main__`` stands in the pickle as text, in a part
    of its own: parts are the frames of some 64 kB, and the large contents between these.

    Raises
    ------
    ModelTooLargeError
        The pickle takes more than `max_bytes`.

    Examples
    --------
    >>> import pickle
    >>> pickle.loads(pickled([1, 2], 1000))
    [1, 2]
    """
    import cloudpickle

    ours = type(model).__module__ == "__main__" or cloudpickle.list_registry_pickle_by_value()
    if not ours:
        buffer = BoundedBuffer(max_bytes)
        with contextlib.suppress(pickle.PicklingError, AttributeError, TypeError):
            pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(model)
            if not buffer.mentions(b"__main__"):
                return buffer.getvalue()
    buffer = BoundedBuffer(max_bytes)
    cloudpickle.dump(model, buffer)  # lambdas, too; what it raises is the answer
    return buffer.getvalue()
