"""Which library an object comes from, and what is said when one is missing. Imports neither."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from nbtrack.errors import MissingPackageError


def library_of(value: object, known: Collection[str]) -> str | None:
    """Return which of the known libraries made the class of a value, or a class it inherits from.

    Examples
    --------
    >>> import decimal
    >>> library_of(decimal.Decimal(1), {"decimal", "numpy"})
    'decimal'
    """
    roots = (cls.__module__.partition(".")[0] for cls in type(value).__mro__)
    return next((root for root in roots if root in known), None)


def need(module: str, package: str, purpose: str) -> Any:
    """Import an optional module.

    Raises
    ------
    MissingPackageError
        It is not installed; the hint says how to get it.

    Examples
    --------
    >>> need("json", "json", "JSON").loads("1")
    1
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{purpose} needs the package '{package}', which cannot be imported: {error}.",
            hint=f"pip install {package}",
        ) from error


def extension(path: str) -> str:
    """Return the extension of a path among artifacts, in lower case, with its dot.

    Examples
    --------
    >>> extension("plots/Loss.PNG"), extension("notes")
    ('.png', '')
    """
    return PurePosixPath(path).suffix.lower()
