"""The flavors, one file per library; none of them imports its library before it has to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

from nbtrack.errors import NotFoundError
from nbtrack.models.flavors.base import Flavor, ModelTooLargeError, Predictor, Snapshot

__all__ = [
    "Flavor",
    "ModelTooLargeError",
    "Predictor",
    "Snapshot",
    "flavor_by_entry",
    "flavor_by_loader",
    "flavor_names",
    "flavor_of",
    "get_flavor",
    "take_snapshot",
]

# In the order in which a model is recognized: an XGBClassifier is a scikit-learn estimator, too.
_FLAVORS = ("torch", "sklearn", "pyfunc")


def flavor_names() -> tuple[str, ...]:
    """Return the names of all flavors, which are those of their files."""
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
            f"There is no model flavor {name!r}.",
            hint=f"There are: {', '.join(sorted(_FLAVORS))}.",
        )
    return cast(Flavor, import_module(f"nbtrack.models.flavors.{name}"))


def flavor_of(model: object) -> Flavor | None:
    """Return the flavor of a model."""
    return next((flavor for flavor in _all() if flavor.is_model(model)), None)


def flavor_by_entry(entries: Mapping[str, Any]) -> tuple[Flavor, Mapping[str, Any]] | None:
    """Return the flavor that loads a model natively, and its entry.

    Parameters
    ----------
    entries
        ``flavors`` of an MLmodel file.
    """
    for flavor in _all():
        for name in flavor.NAMES:
            entry = entries.get(name)
            if name in entries and name != "python_function":  # which says nothing by itself
                return flavor, entry if isinstance(entry, dict) else {}
    return None


def flavor_by_loader(loader_module: object) -> Flavor | None:
    """Return the flavor that predicts where an MLmodel names a loader of MLflow."""
    return next((flavor for flavor in _all() if loader_module in flavor.LOADERS), None)


def take_snapshot(model: object, flavor: str, *, max_bytes: int, **options: Any) -> Snapshot:
    """Return a model as bytes, as it is now.

    Parameters
    ----------
    options
        The flavor's own.

    Raises
    ------
    ModelTooLargeError, NotFoundError
        It takes too many bytes; there is no such flavor.
    """
    return get_flavor(flavor).snapshot(model, max_bytes=max_bytes, **options)


def _all() -> Iterator[Flavor]:
    return map(get_flavor, _FLAVORS)
