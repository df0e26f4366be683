"""What the flavors share whose libraries have files of their own for models."""

from __future__ import annotations

import inspect
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError, MissingPackageError, NbtrackError
from nbtrack.models.flavors.base import ModelTooLargeError, file_of

# Where pip has another name than Python.
_PACKAGES = {"sklearn": "scikit-learn", "imblearn": "imbalanced-learn"}


def descends(model: object, package: str, *names: str) -> bool:
    """Whether a class of the package with one of the names is the model's, or a base of it.

    Examples
    --------
    >>> import collections
    >>> descends(collections.Counter(), "builtins", "dict", "list")
    True
    """
    return any(
        kind.__module__.partition(".")[0] == package and kind.__name__ in names
        for kind in type(model).__mro__
    )


def library(name: str) -> Any:
    """Return a module that a flavor cannot do without.

    Raises
    ------
    MissingPackageError
        Its package is not installed, or one that it needs is not.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise missing(error) from error


def missing(error: ModuleNotFoundError) -> MissingPackageError:
    """Return the error that says which package a model needs."""
    module = (error.name or "").partition(".")[0]
    return MissingPackageError(
        f"The model needs the package '{module}', which is not installed.",
        hint=f"Install it: pip install {_PACKAGES.get(module, module)}",
    )


def requirements(*modules: str) -> tuple[str, ...]:
    """Return those of the modules that are in use, as pip writes them with their versions.

    Examples
    --------
    >>> import yaml
    >>> [line.partition("==")[0] for line in requirements("yaml", "never_imported")]
    ['yaml']
    """
    versions = {name: getattr(sys.modules.get(name), "__version__", None) for name in modules}
    return tuple(
        f"{_PACKAGES.get(name, name)}=={str(version).partition('+')[0]}"
        for name, version in versions.items()
        if version
    )


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a model of so many bytes.

    Raises
    ------
    ModelTooLargeError
        They are too many.
    """
    if size > max_bytes:
        raise ModelTooLargeError(
            f"The model takes more than {max_bytes / 2**20:g} MB.",
            hint="Raise the limit: %config NBTrack.max_model_mb = ...",
        )


def written(save: Callable[[str], object], name: str, max_bytes: int) -> dict[str, bytes]:
    """Return the files that a library writes into an empty folder, by name.

    Parameters
    ----------
    save
        Writes the model; it is given a path.
    name
        What the file is called.

    Raises
    ------
    InvalidParameterError
        The library cannot write it.
    ModelTooLargeError
        The files are too large.

    Examples
    --------
    >>> written(lambda path: Path(path).write_text("abc"), "model.txt", 10)
    {'model.txt': b'abc'}
    """
    with tempfile.TemporaryDirectory(prefix="nbtrack-") as folder:
        try:
            save(str(Path(folder, name)))
        except Exception as error:
            raise InvalidParameterError(f"The model cannot be saved: {error}.") from error
        paths = sorted(Path(folder).iterdir())
        check_size(sum(path.stat().st_size for path in paths), max_bytes)
        return {path.name: path.read_bytes() for path in paths}


def skops_types(path: Path) -> set[str]:
    """Return the types in a skops file that skops itself does not trust; none is loaded.

    Raises
    ------
    MissingPackageError, InvalidParameterError
        skops is not installed; it cannot read the file.
    """
    return set(read(lambda: library("skops.io").get_untrusted_types(file=path), path))


def read(load: Callable[[], object], path: Path) -> Any:
    """Return what a library reads from a file.

    Raises
    ------
    MissingPackageError, InvalidParameterError
        A package that the model needs is not installed; the library cannot read it.
    """
    try:
        return load()
    except NbtrackError:
        raise
    except ModuleNotFoundError as error:
        raise missing(error) from error
    except Exception as error:
        raise InvalidParameterError(f"{path} cannot be read: {error}.") from error


def data_of(
    directory: Path,
    native: Mapping[str, Any],
    default: str,
    pyfunc: Mapping[str, Any] | None = None,
) -> Path:
    """Return the file with the model's data.

    Parameters
    ----------
    default
        What it is called where MLmodel does not say.
    pyfunc
        The ``python_function`` entry: it must name the same file. What was found out about one
        would say nothing about another.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is none in the directory; the entries name two.
    """
    path = file_of(directory, native.get("data", default))
    if pyfunc and "data" in pyfunc and file_of(directory, pyfunc["data"]) != path:
        raise InvalidParameterError(
            f"The model {directory} has its data in {path.name!r} and in {pyfunc['data']!r}.",
            hint="Its MLmodel file must name one and the same for both flavors.",
        )
    return path


def accepted(function: Callable[..., Any], params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return those params that a function takes by name, and warn of the others.

    Examples
    --------
    >>> accepted(sorted, {"reverse": True})
    {'reverse': True}
    """
    known = inspect.signature(function).parameters.values()
    names = {p.name for p in known if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if any(p.kind is p.VAR_KEYWORD for p in known):
        return dict(params or {})
    return used(params, names)


def used(params: Mapping[str, Any] | None, names: set[str]) -> dict[str, Any]:
    """Return the params of these names, and warn of the others.

    Examples
    --------
    >>> used(None, set())
    {}
    """
    given = dict(params or {})
    if unknown := sorted(given.keys() - names):
        warnings.warn(
            f"nbtrack: the model predicts without the params {', '.join(unknown)}, which it does "
            f"not know; it knows {', '.join(sorted(names)) or 'none'}.",
            stacklevel=4,
        )
    return {name: value for name, value in given.items() if name in names}
