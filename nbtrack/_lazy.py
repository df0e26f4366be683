"""Names that import their module when they are first used (PEP 562).

``import nbtrack`` has to cost next to nothing, and the public names come from modules that
need pandas, SQLite or a widget library. A package that uses this declares a table of names and
gets the ``__getattr__`` and ``__dir__`` that serve it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def attach(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the module-level ``__getattr__`` and ``__dir__`` of a package with lazy names.

    Parameters
    ----------
    package
        The package's ``__name__``.
    names
        Public name to the module that defines it, relative to the package: ``{"Client":
        ".tracking.client"}``.

    Returns
    -------
    tuple
        The two functions.

    Examples
    --------
    >>> getter, lister = attach("nbtrack", {"RunStatus": ".types"})
    >>> getter("RunStatus").__name__
    'RunStatus'
    """

    def __getattr__(name: str) -> Any:
        module = names.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module, package), name)
        # Kept, or a training loop would come by here each time it says ``nbtrack.log_metric``.
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted(names)

    return __getattr__, __dir__
