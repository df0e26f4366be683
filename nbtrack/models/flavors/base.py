"""What a flavor is: how models of one library become files, and come back.

Taking a snapshot is the only part that happens in the user's call: afterwards the user may change
the model. Everything else is done later, from the bytes.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from nbtrack.errors import InvalidParameterError, MissingPackageError, NotFoundError

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
    metadata
        What the user says about it.
    facts
        What MLmodel says besides, at its top.
    """

    flavor: str
    model_class: str
    files: Mapping[str, bytes]
    native: Mapping[str, Any]
    pyfunc: Mapping[str, Any]
    requirements: tuple[str, ...] = field(default=())
    signature: Mapping[str, str | None] | None = None
    example: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of model data."""
        return sum(len(data) for data in self.files.values())


class Predictor(Protocol):
    """What predicts, in the way of MLflow's ``pyfunc``."""

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what MLflow's ``pyfunc`` of the flavor gives for a frame or an array."""


class Flavor(Protocol):
    """A module with these names; importing it does not import the library."""

    NAMES: tuple[str, ...]
    """The keys in MLmodel's ``flavors`` that it reads; the first is the one that it writes."""

    LOADERS: tuple[str, ...]
    """The ``loader_module`` of the ``python_function`` entries that it predicts with."""

    def is_model(self, model: object) -> bool:
        """Whether a model is of this flavor; the library is not imported to find out."""

    def snapshot(self, model: object, *, max_bytes: int, **options: Any) -> Snapshot:
        """Return the model as bytes.

        Parameters
        ----------
        options
            What MLflow's ``save_model`` of the flavor takes beyond what all of them take.

        Raises
        ------
        ModelTooLargeError
            It takes more than `max_bytes`.
        """

    def load(self, directory: Path, native: Mapping[str, Any]) -> object:
        """Return the model of a directory whose files were found trustworthy, or are only data.

        Parameters
        ----------
        native
            The flavor's entry in MLmodel; empty if there is only a ``python_function``.
        """

    def predictor(
        self, directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]
    ) -> Predictor:
        """Return what predicts, of a directory that `load` would load.

        Parameters
        ----------
        pyfunc
            The ``python_function`` entry in MLmodel; empty if there is none.
        """

    def runs_code(self, directory: Path, native: Mapping[str, Any]) -> str | None:
        """Return what in the directory runs code when it is loaded; None: it is only data.

        Nothing is executed to find out. A text goes into a message: ``a pickle``.
        """


class ModelTooLargeError(InvalidParameterError):
    """The model takes more bytes than allowed."""


def class_name(model: object) -> str:
    """Return ``module.Class`` of an object.

    Examples
    --------
    >>> class_name(1.5)
    'builtins.float'
    """
    kind = type(model)
    return f"{kind.__module__}.{kind.__qualname__}"


def packages_of(model: object) -> set[str]:
    """Return the packages that an object's class and its bases are from.

    Examples
    --------
    >>> sorted(packages_of(ModelTooLargeError("big")))
    ['builtins', 'nbtrack']
    """
    return {kind.__module__.partition(".")[0] for kind in type(model).__mro__}


def file_of(directory: Path, name: object) -> Path:
    """Return a file or folder that an MLmodel names: it must be there, in the directory.

    Raises
    ------
    NotFoundError
        There is none, or the name leads out of the directory.
    """
    path = directory / str(name)
    if not (
        name
        and "\0" not in str(name)
        and path.exists()
        and path.resolve().is_relative_to(directory.resolve())
        and path.resolve() != directory.resolve()
    ):
        raise NotFoundError(f"The model {directory} has no file {str(name)!r}.")
    return path


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


def unpickled(
    path: Path,
    packages: Mapping[str, str] | None = None,
    *,
    load: Callable[[BinaryIO], object] | None = None,
) -> object:
    """Return what a pickle holds. The caller has made sure that it can be trusted.

    Parameters
    ----------
    packages
        What pip calls the package of a module, where that is another name.
    load
        Reads the file; default: `pickle.load`.

    Raises
    ------
    MissingPackageError, InvalidParameterError
        A package that it needs is not installed; it is damaged.
    """
    try:
        with path.open("rb") as file:
            return (load or pickle.load)(file)
    except ModuleNotFoundError as error:
        package = (packages or {}).get(error.name or "", error.name)
        raise MissingPackageError(
            f"The model needs the package '{error.name}', which is not installed.",
            hint=f"Install it: pip install {package}",
        ) from error
    except (EOFError, pickle.UnpicklingError) as error:
        raise InvalidParameterError(f"{path} is damaged: {error}.") from error
