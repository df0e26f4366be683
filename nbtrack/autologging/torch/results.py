"""What the user's variables say of an epoch: floats, dicts of floats, and the ends of lists."""

from __future__ import annotations

import ast
import weakref
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

from nbtrack.autologging.torch.loops import SPLIT, Appended, Loop, short_name
from nbtrack.autologging.torch.values import Number, result

_MAX_ENTRIES = 50  # of a dict with results


class Found(NamedTuple):
    """A result, and the line of the loop that it comes from; 0 if it comes from elsewhere."""

    value: Number
    line: int


class _Grown(NamedTuple):
    """A list of the user's: how long it was, and what its values are called; None for losses."""

    values: list[Any]
    length: int
    name: str | None


class _Mark(NamedTuple):
    """A tensor or array, as it was: it is not kept, and may be counted up in place.

    The next one may come to lie where it lay, so its address does not tell it.
    """

    reference: weakref.ref[Any] | None
    state: object

    @classmethod
    def of(cls, value: Any, number: Number) -> _Mark:
        try:
            reference = weakref.ref(value)
        except TypeError:  # one of numpy's numbers: another one of the same value is as good
            reference = None
        # To compare the numbers of a device is to wait for it; its tensors count their changes.
        return cls(reference, number if isinstance(number, float) else _version(value))

    def is_same(self, other: _Mark) -> bool:
        if self.state != other.state or (self.reference is None) != (other.reference is None):
            return False
        if self.reference is None or other.reference is None:
            return True
        return self.reference() is other.reference()


class Results:
    """Reads the variables that a loop assigns.

    Parameters
    ----------
    loop
        The loop.
    code
        The code that has it.
    counter
        The variable that counts its rounds.
    """

    def __init__(self, loop: Loop, code: CodeType, counter: str) -> None:
        self._loop = loop
        self._counter = counter
        texts = (*loop.results, *loop.lists)
        self.roots = tuple({text.partition(".")[0].partition("[")[0]: None for text in texts})
        # Where each step is an epoch, all this is gone through at each: prepared once.
        self._assigned = [
            (text, name, assigned.line)
            for text, assigned in loop.results.items()
            if (name := short_name(text)) is not None
        ]
        self._marks: dict[tuple[str, str], object] = {}  # what was there before, or was taken
        self._grown: dict[str, _Grown] = {}
        # ``running = 0.0`` begins something: the very constant is no result.
        self._zeros = [zero for zero in _constants(code.co_consts) if zero == 0]

    def take(
        self, space: Mapping[str, Any], losses: Container[str], found: dict[str, Found]
    ) -> None:
        """Add to `found` what the loop has assigned or appended since it was asked last.

        Parameters
        ----------
        space
            Variables by name.
        losses
            Names that are logged as losses already.
        """
        for text, name, line in self._assigned:
            value = resolve(space, text)
            if type(value) is dict:
                parts = [(_entry(name, key), key, part) for key, part in _parts(value)]
            else:
                parts = [(name, "", value)]
            for called, key, part in parts:
                if part is None or called in losses:
                    continue
                number = self._new(text, key, part)
                if number is not None:
                    found[called] = Found(number, line)
        for text, appended in self._loop.lists.items():
            values = resolve(space, text)
            if isinstance(values, list):
                self._take_list(text, appended, values, losses, found)

    def ends(self, found: dict[str, Found]) -> None:
        """Add what lists have got since, when the variables are gone."""
        for values, length, name in self._grown.values():
            if name is not None and len(values) == length + 1:
                for key, part in _parts(values[-1]):
                    if (number := result(part)) is not None:
                        found.setdefault(_entry("" if key else name, key), Found(number, 0))

    def _new(self, text: str, key: str, value: Any) -> Number | None:
        """Return a number, unless it was there before."""
        before = self._marks.get((text, key))
        if before is value:  # a float that was assigned again is another object
            return None
        number = result(value)
        if number is None:
            return None
        for zero in self._zeros:
            if value is zero:
                return None
        mark = value if isinstance(value, float) else _Mark.of(value, number)
        if isinstance(mark, _Mark) and isinstance(before, _Mark) and before.is_same(mark):
            return None
        self._marks[text, key] = mark
        return number

    def _take_list(
        self,
        text: str,
        appended: Appended,
        values: list[Any],
        losses: Container[str],
        found: dict[str, Found],
    ) -> None:
        known = self._grown.get(text, _Grown(values, 0, None))
        is_dict = bool(values) and type(values[-1]) is dict
        name = appended.name if is_dict else self._called(appended, losses, found)
        if values:
            self._grown[text] = _Grown(values, len(values), name or known.name)
        if name is None or known.values is not values or len(values) != known.length + 1:
            return
        for key, part in _parts(values[-1]):
            called = _entry("" if is_dict else name, key)
            number = result(part)
            same = any(each.value is part for each in found.values())
            if number is not None and not same and called not in losses:
                found.setdefault(called, Found(number, appended.line))

    def _called(
        self, appended: Appended, losses: Container[str], found: dict[str, Found]
    ) -> str | None:
        """Return the metric that a list's values are; None if each is a loss that is known.

        Other names for the same values are taken out of `found`.
        """
        name, alias = appended.name, short_name(appended.alias or "")
        if alias is not None:
            if alias in losses:
                return None
            if alias in found:
                if name in losses or name in found or not appended.says_more_than(alias):
                    return alias
                found[name] = found.pop(alias)
            return name
        if any(part in losses for part in appended.parts - {self._counter}):
            return None
        return name


def _constants(constants: tuple[object, ...]) -> Iterator[float]:
    for constant in constants:
        if isinstance(constant, float):
            yield constant
        elif isinstance(constant, tuple):
            yield from _constants(constant)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a value, or those of a dict of scalars by their keys."""
    if type(value) is not dict:
        yield "", value
    elif len(value) <= _MAX_ENTRIES and all(
        isinstance(part, float | int | str | None) or getattr(part, "ndim", 1) == 0
        for part in value.values()
    ):
        yield from ((key, part) for key, part in value.items() if isinstance(key, str))


def _entry(name: str, key: str) -> str:
    """Return what an entry of a dict of results is called.

    Examples
    --------
    >>> from nbtrack.autologging.torch.results import _entry
    >>> _entry("val", "acc"), _entry("metrics", "val_acc"), _entry("losses", "val")
    ('val_acc', 'val_acc', 'val_losses')
    """
    if not key or not name:
        return name or key
    if split := SPLIT.match(key):
        return f"{key}_{name}" if split.end() == len(key) else key
    return f"{name}_{key}"


def _version(value: Any) -> int:
    """Return how often a tensor was changed in place, as far as it is counted."""
    is_inference = getattr(value, "is_inference", None)
    return 0 if is_inference is None or is_inference() else int(value._version)


def resolve(space: Mapping[str, Any], text: str) -> Any:
    """Return the value of ``self.history['val']``; no code of the user's runs for it."""
    if text.isidentifier():
        return space.get(text)
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
