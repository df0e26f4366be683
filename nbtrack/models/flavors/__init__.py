"""The flavors, one file per library; none of them imports its library before it has to."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from nbtrack.errors import NotFoundError
from nbtrack.models.flavors.base import Flavor, ModelTooLargeError, Snapshot

__all__ = [
    "Flavor",
    "ModelTooLargeError",
    "Snapshot",
    "flavor_names",
    "get_flavor",
    "take_snapshot",
]

_FLAVORS = ("sklearn", "torch")


def flavor_names() -> tuple[str, ...]:
    """Return the names of all flavors."""
    return _FLAVORS


def get_flavor(name: str) -> Flavor:
    """Return a flavor.

    Raises
    ------
    NotFoundError
        There is none of that name.
    """
    if name not in _FLAVORS:
        raise NotFoundError(
            f"There is no model flavor {name!r}.", hint=f"There are: {', '.join(_FLAVORS)}."
        )
    return cast(Flavor, import_module(f"nbtrack.models.flavors.{name}"))


def take_snapshot(model: object, flavor: str, *, max_bytes: int) -> Snapshot:
    """Return a model as bytes, as it is now.

    Raises
    ------
    ModelTooLargeError, NotFoundError
        It takes too many bytes; there is no such flavor.
    """
    return get_flavor(flavor).snapshot(model, max_bytes=max_bytes)
