"""Epochs: which loop they are, when one ends, and what the user's variables say then."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import lru_cache
from inspect import CO_OPTIMIZED
from types import FrameType
from typing import Any

from nbtrack.autologging.torch.frames import read
from nbtrack.autologging.torch.source import Loop, Site, short_name
from nbtrack.autologging.torch.values import Number, result

_MAX_DEPTH = 24


class Epochs:
    """The loop that counts the epochs of one training.

    Parameters
    ----------
    frame
        A frame that runs it. It is not kept; of a module or cell, the namespace is.
    loop
        The loop.
    counter
        Its variable that counts.

    Attributes
    ----------
    current
        What it counts to now.
    counter
        The variable that counts.
    space
        The namespace that it is in; None if it is a function's.
    last
        What it counts to at last, if that is known.
    code
        The code that has the loop.
    """

    def __init__(self, frame: FrameType, loop: Loop, counter: str) -> None:
        self.code = frame.f_code
        is_function = bool(frame.f_code.co_flags & CO_OPTIMIZED)
        self.space: Mapping[str, Any] | None = None if is_function else frame.f_globals
        self.counter = counter
        self._floats = loop.floats
        self._lists = loop.lists
        texts = (*loop.floats, *loop.lists, counter)
        self._roots = tuple({text.partition(".")[0].partition("[")[0]: None for text in texts})
        self.current = int(read(frame, (counter,))[counter])
        self.last = None if loop.stop is None else _last(frame, loop.stop)
        self._marks: dict[str, object] = {}  # values that were there before, or were logged
        self._lengths: dict[str, tuple[list[Any], int]] = {}
        self.results(read(frame, self._roots), ())

    def frame(self, frame: FrameType | None) -> FrameType | None:
        """Return the frame of the loop, from `frame` outwards, or None."""
        code = self.code
        for _ in range(_MAX_DEPTH):
            if frame is None or frame.f_code is code:
                return frame
            frame = frame.f_back
        return None

    def counted(self, frame: FrameType) -> int:
        """Return what the loop counts to by now."""
        if self.space is not None:
            value = self.space.get(self.counter)
        else:
            value = read(frame, (self.counter,)).get(self.counter)
        return value if type(value) is int else self.current

    def results_in(self, frame: FrameType, losses: Iterable[str]) -> dict[str, Number]:
        """Return what the variables of the loop say; see `results`."""
        return self.results(read(frame, self._roots), losses)

    def last_results(self, losses: Iterable[str]) -> dict[str, Number]:
        """Return what they say when the loop is over: of a function, only lists are left."""
        if self.space is not None:
            return self.results(self.space, losses)
        return {
            self._lists[text][0]: value
            for text, (values, length) in self._lengths.items()
            if len(values) == length + 1 and (value := result(values[-1])) is not None
        }

    def results(self, space: Mapping[str, Any], losses: Iterable[str]) -> dict[str, Number]:
        """Return the floats that the loop has assigned or appended since it was asked last.

        Parameters
        ----------
        space
            Variables by name.
        losses
            Names that are logged as losses already.
        """
        found: dict[str, Number] = {}
        for text in self._floats:
            value = space.get(text) if text.isidentifier() else _resolve(space, text)
            if value is None or (number := result(value)) is None:
                continue
            # A tensor is not kept, and may be counted up in place. A float that was assigned again
            # is another object.
            mark = value if isinstance(value, float) else (id(value), _version(value))
            before = self._marks.get(text)
            if before is mark or (isinstance(mark, tuple) and before == mark):
                continue
            self._marks[text] = mark
            name = short_name(text)
            if name is not None and name not in losses:
                found[name] = number
        for text, (name, parts) in self._lists.items():
            values = space.get(text) if text.isidentifier() else _resolve(space, text)
            if not isinstance(values, list) or parts & {*losses, *found}:
                continue
            known, length = self._lengths.pop(text, (values, 0))
            if values and isinstance(values[-1], float):
                self._lengths[text] = (values, len(values))
                if known is values and len(values) == length + 1:
                    found.setdefault(name, float(values[-1]))
        return found


def _last(frame: FrameType, stop: str) -> int | None:
    """Return the last number before `stop`, a number or the name of one."""
    if stop.isdecimal():
        return int(stop) - 1
    value = _resolve(read(frame, (stop.partition(".")[0],)), stop)
    return value - 1 if type(value) is int else None


def _version(value: Any) -> int:
    """Return how often a tensor was changed in place, as far as it is counted."""
    is_inference = getattr(value, "is_inference", None)
    return 0 if is_inference is None or is_inference() else int(value._version)


def find(calls: list[tuple[FrameType, Site]], optimizer: object) -> Epochs | None:
    """Return the epochs of a training: the outermost loop that counts and made no optimizer.

    Parameters
    ----------
    calls
        The frames around a step, the innermost first, with what they call.
    """
    best: tuple[FrameType, Loop, str] | None = None
    for frame, site in calls:
        texts = site.uses
        space = read(frame, {text.partition(".")[0] for text in texts})
        holders = {text for text in texts if _holds(_resolve(space, text), optimizer)}
        for loop in reversed(site.loops):
            if loop.stores & holders:
                return _made(best)
            values = read(frame, loop.counters)
            counter = next((n for n in loop.counters if type(values.get(n)) is int), None)
            if counter is not None:
                best = frame, loop, counter
        if site.stores & holders or _makes_its_owner(site):
            break
    return _made(best)


def _made(best: tuple[FrameType, Loop, str] | None) -> Epochs | None:
    return None if best is None else Epochs(*best)


def _makes_its_owner(site: Site) -> bool:
    """Whether the call is one of a new object's, as ``Trainer(seed).fit()``."""
    match site.call:
        case ast.Call(func=ast.Attribute(value=ast.Call())):
            return True
    return False


def _holds(value: object, optimizer: object) -> bool:
    """Whether `value` is the optimizer, or has it."""
    if value is optimizer:
        return True
    if isinstance(value, list | tuple):
        parts: Iterable[object] = value
    elif isinstance(value, dict):
        parts = list(value.values())
    else:
        parts = list(getattr(value, "__dict__", {}).values())
    return any(part is optimizer for part in parts)


def _resolve(space: Mapping[str, Any], text: str) -> Any:
    """Return the value of ``self.history['val']``; no code of the user's runs for it."""
    root, *steps = _path(text)
    value = space.get(root)
    for step in steps:
        if step.startswith("."):
            value = getattr(value, "__dict__", {}).get(step[1:])
        else:
            value = value.get(step[1:]) if type(value) is dict else None
    return value


@lru_cache(maxsize=1024)
def _path(text: str) -> tuple[str, ...]:
    steps: list[str] = []
    node: ast.expr = ast.parse(text, mode="eval").body
    while True:
        match node:
            case ast.Attribute(value=node, attr=name):
                steps.insert(0, f".{name}")
            case ast.Subscript(value=node, slice=ast.Constant(value=str(key))):
                steps.insert(0, f"[{key}")
            case ast.Name(id=name):
                return (name, *steps)
            case _:
                return ("",)
