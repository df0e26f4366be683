"""The public names: all listed, all there, all explained with an example."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from types import ModuleType
from typing import Any

import pytest

import nbtrack

# IPython calls these by name; they are no part of what users call.
HOOKS = {"load_ipython_extension", "unload_ipython_extension"}


def _is_called_by_users(value: Any) -> bool:
    """Tell functions and classes that users call from what nbtrack hands to them."""
    if inspect.isclass(value):
        handed_out = issubclass(value, BaseException | enum.Enum) or dataclasses.is_dataclass(value)
        return not handed_out
    return callable(value)


def _public_names() -> set[str]:
    """Return what `dir`, and so completion, offers; submodules left out."""
    found = {name for name in dir(nbtrack) if not name.startswith("_")}
    return {name for name in found if not isinstance(getattr(nbtrack, name), ModuleType)}


def test_all_is_sorted_and_has_no_doubles() -> None:
    assert list(nbtrack.__all__) == sorted(set(nbtrack.__all__))


def test_all_lists_exactly_what_can_be_reached() -> None:
    assert _public_names() - HOOKS == set(nbtrack.__all__) - HOOKS


@pytest.mark.parametrize("name", nbtrack.__all__)
def test_name_is_reachable_and_explained(name: str) -> None:
    value = getattr(nbtrack, name)
    if name not in HOOKS and _is_called_by_users(value):
        assert "Examples\n--------" in (inspect.getdoc(value) or ""), f"{name} has no Examples"
