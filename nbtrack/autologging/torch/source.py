"""What the user wrote around a call: the name of the loss, how it was made, the loops."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from nbtrack.autologging.callsite import parse, texts
from nbtrack.autologging.torch.loops import (
    FUNCTIONS,
    LOOPS,
    Loop,
    key_of,
    loop_of,
    short_name,
    stored,
    text_of,
)

_LOSS = re.compile(r"loss|err|nll|mse|mae|bce|_ce|ce$|elbo|kl")
_CACHE = 4096


@dataclass(frozen=True, eq=False)
class Site:
    """A call in the user's source; without a source all of it is empty.

    Parameters
    ----------
    call
        Its syntax.
    name
        What a loss is called that the call gives, or is made on.
    scalars
        Names in a composite loss, as ``loss`` in ``(loss / steps).backward()``.
    target
        What the result is called, if it is assigned or appended.
    loops
        The loops around it in its function or module, the outermost first.
    stores
        What its function assigns.
    uses
        Names and attributes in the call, as text.
    made
        Which functions are called for what its function assigns, by name; for the call itself
        under an empty name.
    is_share
        Whether the loss was divided by the number of batches whose gradients are accumulated.
    is_dropped
        Whether nobody takes what the call returns.
    """

    call: ast.Call | None = None
    name: str = "loss"
    scalars: tuple[str, ...] = ()
    target: str | None = None
    loops: tuple[Loop, ...] = ()
    stores: frozenset[str] = frozenset()
    uses: tuple[str, ...] = ()
    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_share: bool = False
    is_dropped: bool = False


_NOWHERE = Site()
# Calls by code and instruction; the code is kept, so that its id stays its own.
_sites: dict[tuple[int, int], tuple[Site, CodeType]] = {}


def site_of(frame: FrameType) -> Site:
    """Return the call that `frame` is making."""
    code = frame.f_code
    key = (id(code), frame.f_lasti)
    found = _sites.get(key)
    if found is None:
        if len(_sites) >= _CACHE:
            _sites.clear()
        found = _sites[key] = (_find(frame), code)
    return found[0]


def forget() -> None:
    """Forget all sources."""
    _sites.clear()
    _tree.cache_clear()


def _find(frame: FrameType) -> Site:
    instruction = frame.f_lasti // 2
    where = next(islice(frame.f_code.co_positions(), instruction, None), None)
    for text in texts(frame):
        tree = _tree(text)
        call = tree.calls.get(where) if tree is not None and where is not None else None
        if tree is not None and call is not None:
            return tree.site(call)
    return _NOWHERE


@lru_cache(maxsize=64)
def _tree(text: str) -> _Tree | None:
    source = parse(text)
    return None if source is None else _Tree(source.module, source.calls)


@dataclass(eq=False)
class _Tree:
    """A parsed source whose nodes know what they stand in."""

    module: list[ast.stmt]
    calls: Mapping[Any, ast.Call]
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for statement in self.module:
            for node in ast.walk(statement):
                for child in ast.iter_child_nodes(node):
                    self.parents[child] = node

    def site(self, call: ast.Call) -> Site:
        loops: list[Loop] = []
        function: ast.AST | None = None
        node: ast.AST | None = call
        while node is not None:
            if isinstance(node, FUNCTIONS):
                function = node
                break
            if isinstance(node, LOOPS):
                loops.insert(0, loop_of(node))
            node = self.parents.get(node)
        body: list[ast.AST] = list(self.module) if function is None else [function]
        name, scalars = _loss(call)
        return Site(
            call=call,
            name=name,
            scalars=scalars,
            target=self._target(call),
            loops=tuple(loops),
            stores=frozenset(text for part in body for text in stored(part)),
            uses=tuple({text: None for node in ast.walk(call) if (text := text_of(node))}),
            made={**_made(body), "": _called(call)},
            is_share=name in _shares(body),
            is_dropped=isinstance(self.parents.get(call), ast.Expr),
        )

    def _target(self, call: ast.Call) -> str | None:
        """Return the name of what is made of the call's result."""
        node: ast.AST = call
        while (parent := self.parents.get(node)) is not None:
            match parent:
                case ast.Assign(targets=[target, *_]):
                    return short_name(text_of(target))
                case ast.AugAssign(target=target):  # total += ...
                    name = short_name(text_of(target)) or ""
                    return name if _LOSS.search(name.lower()) else None
                case ast.Call(func=ast.Attribute(value=owner, attr="append")):
                    return short_name(text_of(owner) or key_of(owner))
                case ast.stmt():
                    return None
            node = parent
        return None


def _loss(call: ast.Call) -> tuple[str, tuple[str, ...]]:
    """Return what the loss of ``….backward()`` is called, and the names it is made of."""
    expression: ast.expr = call.func
    if isinstance(call.func, ast.Attribute):
        expression = call.func.value
    if call.args:  # accelerator.backward(loss), torch.autograd.backward(loss)
        expression = call.args[0]
    if (name := short_name(text_of(expression) or key_of(expression))) is not None:
        return name, ()
    names = (node.id for node in ast.walk(expression) if isinstance(node, ast.Name))
    return "loss", tuple(dict.fromkeys(names))


def _made(body: list[ast.AST]) -> dict[str, tuple[str, ...]]:
    """Return the functions that are called for what is assigned, by short name."""
    found: dict[str, tuple[str, ...]] = {}
    for node in (node for part in body for node in ast.walk(part)):
        match node:
            case ast.Assign(targets=[target, *_], value=value) if called := _called(value):
                if name := short_name(text_of(target)):
                    found[name] = tuple(dict.fromkeys((*found.get(name, ()), *called)))
    return found


def _called(value: ast.AST) -> tuple[str, ...]:
    calls = (node for node in ast.walk(value) if isinstance(node, ast.Call))
    return tuple(dict.fromkeys(text for call in calls if (text := text_of(call.func))))


def _shares(body: list[ast.AST]) -> set[str]:
    """Return what is divided by ``n`` where something is done for each n-th only (``i % n``)."""
    divided: set[tuple[str, str]] = set()
    counted: set[str] = set()
    for node in (node for part in body for node in ast.walk(part)):
        match node:
            case ast.BinOp(op=ast.Mod(), right=number):
                counted.add(ast.unparse(number))
            case ast.AugAssign(target=target, op=ast.Div(), value=number):
                divided.add((text_of(target), ast.unparse(number)))
            case ast.Assign(targets=[target], value=ast.BinOp(op=ast.Div(), right=number)):
                divided.add((text_of(target), ast.unparse(number)))
    return {short_name(text) or "" for text, number in divided if number in counted}
