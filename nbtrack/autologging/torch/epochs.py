"""Epochs: which loop they are, when one ends, and what the user's variables say then."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Container, Iterable, Mapping
from inspect import CO_OPTIMIZED
from types import FrameType
from typing import Any

from nbtrack.autologging.torch.frames import read
from nbtrack.autologging.torch.loops import Loop, short_name
from nbtrack.autologging.torch.results import Found, Results, resolve
from nbtrack.autologging.torch.source import Site
from nbtrack.autologging.torch.values import Number

_MAX_DEPTH = 24
_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


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
        self.current = int(read(frame, (counter,))[counter])
        self.last = None if loop.stop is None else _last(frame, loop.stop)
        self._results = Results(loop, frame.f_code, counter)
        self._found: dict[str, Found] = {}  # of this epoch, so far
        # What is there comes from before, but for what every epoch begins with.
        self.note(frame, ())
        line = frame.f_lineno
        first = {short_name(text) for text, a in loop.results.items() if a.always and a.line < line}
        self._found = {name: row for name, row in self._found.items() if name in first}

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

    def note(self, frame: FrameType, losses: Container[str]) -> None:
        """Read the variables of the loop: some may be set back before the epoch is over."""
        self._results.take(self._variables(frame), losses, self._found)

    def _variables(self, frame: FrameType) -> Mapping[str, Any]:
        return read(frame, self._results.roots) if self.space is None else self.space

    def add(self, results: Mapping[str, Number]) -> None:
        """Take in results of this epoch that come from elsewhere."""
        self._found |= {name: Found(value, 0) for name, value in results.items()}

    def over(self, frame: FrameType, losses: Container[str]) -> dict[str, Number]:
        """Return the results of the epoch that is over; `frame` is in the next one.

        What the loop assigns before the line where it is now is the next one's already.
        """
        old, found = self._found, dict(self._found)
        self._results.take(self._variables(frame), losses, found)
        if not found:
            return {}
        line = frame.f_lineno
        self._found = {
            name: row
            for name, row in found.items()
            if row is not old.get(name) and 0 < row.line < line
        }
        found = {name: row for name, row in found.items() if name not in self._found}
        left = {name: row for name, row in old.items() if name in self._found}
        return {name: row.value for name, row in (found | left).items()}

    def returned(self, frame: FrameType, losses: Container[str]) -> dict[str, Number]:
        """Return the results of the last epoch; `frame` has left the loop."""
        self.note(frame, losses)
        return self.noted()

    def last_results(self, losses: Container[str]) -> dict[str, Number]:
        """Return what is known when the loop is over; the variables of a function are gone."""
        if self.space is not None:
            self._results.take(self.space, losses, self._found)
        else:
            self._results.ends(self._found)
        return self.noted()

    def noted(self) -> dict[str, Number]:
        """Return what was read of this epoch so far."""
        found, self._found = self._found, {}
        return {name: row.value for name, row in found.items()}


def _last(frame: FrameType, stop: str) -> int | None:
    """Return the last number before `stop`, which is of names, numbers and what joins them."""
    node = ast.parse(stop, mode="eval").body
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    value = _number(node, read(frame, names))
    return None if value is None else value - 1


def _number(node: ast.expr, space: Mapping[str, Any]) -> int | None:
    match node:
        case ast.Constant(value=value):
            pass
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            one, other = _number(left, space), _number(right, space)
            if one is None or other is None or (other == 0 and isinstance(op, ast.FloorDiv)):
                return None
            value = _OPERATIONS[type(op)](one, other)
        case ast.Call(func=ast.Name(id="int"), args=[inner]):
            return _number(inner, space)
        case ast.Call(func=ast.Name(id="len"), args=[inner]):
            found = resolve(space, ast.unparse(inner))
            value = len(found) if isinstance(found, list | tuple | dict | range) else None
        case _:
            value = resolve(space, ast.unparse(node))
    return value if type(value) is int else None


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
        holders = {text for text in texts if _holds(resolve(space, text), optimizer)}
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
