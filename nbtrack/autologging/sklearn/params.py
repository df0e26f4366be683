"""Params of an estimator, and which of them somebody chose."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import Any


def chosen(estimator: Any, params: Mapping[str, Any]) -> list[str]:
    """Return the keys of the params that differ from the defaults of their estimators."""
    owners = {name: value for name, value in params.items() if hasattr(value, "get_params")}
    known: dict[type, Mapping[str, Any]] = {}
    keys = []
    for key, value in params.items():
        owner, _, name = key.rpartition("__")
        holder = owners.get(owner) if owner else estimator
        if key in owners or holder is None:
            continue
        kind = type(holder)
        if kind not in known:
            known[kind] = _defaults(kind)
        default = known[kind].get(name, inspect.Parameter.empty)
        # Comparing could be anybody's code, or an array's; the same text is the same default.
        # Without a default there is nothing to compare: the text of steps takes its time. Where a
        # class takes the rest of its params as keywords, None is what was not given.
        if default is inspect.Parameter.empty:
            differs = value is not None
        else:
            differs = value is not default and repr(value) != repr(default)
        if differs:
            keys.append(key)
    return keys


def _defaults(cls: type) -> Mapping[str, Any]:
    """Return the defaults of a constructor; `inspect.signature` would take ten times as long."""
    found: dict[str, Any] = {}
    for owner in cls.__mro__:
        function = inspect.unwrap(vars(owner).get("__init__", None) or _no_constructor)
        if isinstance(function, FunctionType) and function is not _no_constructor:
            found = {**_of_function(function), **found}
            if not function.__code__.co_flags & inspect.CO_VARKEYWORDS:
                break  # others hand on what they do not know to the next class
    return found


def _no_constructor() -> None:
    """Stand for the constructor of a class that has none."""


def _of_function(function: FunctionType) -> Mapping[str, Any]:
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    by_place = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    return by_place | (function.__kwdefaults__ or {})
