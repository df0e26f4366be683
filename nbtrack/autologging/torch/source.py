"""What the user wrote around a call: the name of the loss, the loops, what is assigned in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from nbtrack.autologging.callsite import parse, texts

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_CLOCKS = re.compile(r"(time\.\w+|perf_counter|monotonic|default_timer|time)$")
_CACHE = 4096


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop around a call.

    Parameters
    ----------
    place
        Where it stands.
    counters
        Variables that may count its rounds.
    stores
        What is assigned in it, as text: ``opt``, ``self.opt``.
    floats
        Variables and attributes assigned in it that may be results of a round.
    lists
        What is appended to in it, as text, with what its values are called, and the names that
        these are made of.
    stop
        Where a counter that goes through a `range` stops, as text.
    """

    place: tuple[int, int, int]
    counters: tuple[str, ...]
    stores: frozenset[str]
    floats: tuple[str, ...]
    lists: Mapping[str, tuple[str, frozenset[str]]]
    stop: str | None


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
    """

    call: ast.Call | None = None
    name: str = "loss"
    scalars: tuple[str, ...] = ()
    target: str | None = None
    loops: tuple[Loop, ...] = ()
    stores: frozenset[str] = frozenset()
    uses: tuple[str, ...] = ()


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
            if isinstance(node, _FUNCTIONS):
                function = node
                break
            if isinstance(node, _LOOPS):
                loops.insert(0, _loop(node))
            node = self.parents.get(node)
        body: list[ast.AST] = list(self.module) if function is None else [function]
        name, scalars = _loss(call)
        return Site(
            call=call,
            name=name,
            scalars=scalars,
            target=self._target(call),
            loops=tuple(loops),
            stores=frozenset(text for part in body for text in _stores(part)),
            uses=tuple({text: None for node in ast.walk(call) if (text := _text(node))}),
        )

    def _target(self, call: ast.Call) -> str | None:
        """Return the name of what is made of the call's result."""
        node: ast.AST = call
        while (parent := self.parents.get(node)) is not None:
            match parent:
                case ast.Assign(targets=[target, *_]) | ast.AugAssign(target=target):
                    return short_name(_text(target))
                case ast.Call(func=ast.Attribute(value=owner, attr="append")):
                    return short_name(_text(owner) or _key(owner))
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
    if (name := short_name(_text(expression) or _key(expression))) is not None:
        return name, ()
    names = (node.id for node in ast.walk(expression) if isinstance(node, ast.Name))
    return "loss", tuple(dict.fromkeys(names))


def _loop(node: ast.For | ast.AsyncFor | ast.While) -> Loop:
    stores = set(_stores(*node.body))
    if isinstance(node, ast.While):
        tested = [n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)]
        counters = [name for name in tested if name in stores]
        if not tested:  # while True
            counters = [text for text in _counted(node) if text.isidentifier()]
    else:
        counters = [n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)]
        batches = isinstance(node.iter, ast.Call) and _text(node.iter.func) == "enumerate"
        if batches:
            counters = [name for name in counters if "epoch" in name.lower()]
    lists = dict(_appended(node))
    clocks = set(_clocks(node))
    floats = [
        text
        for text in sorted(stores)
        if not text.rpartition(".")[2].startswith("_") and text not in clocks
    ]
    return Loop(
        place=(node.lineno, node.col_offset, node.end_lineno or node.lineno),
        counters=tuple(counters),
        stores=frozenset(stores),
        floats=tuple(floats),
        lists=lists,
        stop=None if isinstance(node, ast.While) else _stop(node.iter),
    )


def _stop(iterated: ast.expr) -> str | None:
    """Return the end of ``range(n)``, ``range(1, n)``, ``trange(n)`` or ``tqdm(range(n))``."""
    match iterated:
        case ast.Call(func=ast.Name(id="range" | "trange"), args=[stop] | [_, stop]):
            return ast.unparse(stop)
        case ast.Call(args=[ast.Call() as inner, *_]):
            return _stop(inner)
    return None


def _counted(loop: ast.While) -> Iterator[str]:
    for node in ast.walk(loop):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            yield _text(node.target)


def _stores(*nodes: ast.AST) -> Iterator[str]:
    """Yield what is assigned in `nodes`, but not in functions inside, and not by a ``for``."""
    waiting = list(nodes)
    first = set(map(id, nodes))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)) and id(node) not in first:
            continue
        match node:
            case ast.Assign(targets=targets):
                yield from _targets(*targets)
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                yield from _targets(target)
            case ast.NamedExpr(target=target):
                yield from _targets(target)
            case ast.withitem(optional_vars=ast.expr() as target):
                yield from _targets(target)
        waiting += ast.iter_child_nodes(node)


def _targets(*targets: ast.expr) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            yield from _targets(*target.elts)
        elif isinstance(target, ast.Starred):
            yield from _targets(target.value)
        elif text := _text(target):
            yield text


def _appended(loop: ast.AST) -> Iterator[tuple[str, tuple[str, frozenset[str]]]]:
    """Yield the lists that get one value more, with what `Loop.lists` has of them."""
    for node in ast.walk(loop):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="append"), args=[value]):
                name = short_name(_text(owner) or _key(owner))
                if name is not None:
                    parts = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
                    yield ast.unparse(owner), (name, frozenset(parts))


def _clocks(loop: ast.AST) -> Iterator[str]:
    """Yield what is assigned the time of day: no result of a round."""
    for node in ast.walk(loop):
        match node:
            case ast.Assign(targets=targets, value=ast.Call(func=function)):
                if _CLOCKS.match(_text(function)):
                    yield from _targets(*targets)


def _text(node: ast.AST) -> str:
    """Return the text of a name or of attributes of one; else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := _text(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def _key(node: ast.AST) -> str:
    """Return the constant by which an item is taken: ``val`` for ``history['val']``."""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
    return ""


def short_name(text: str) -> str | None:
    """Return the last part of a name, as ``loss`` of ``self.loss``; None for none.

    Examples
    --------
    >>> from nbtrack.autologging.torch.source import short_name
    >>> short_name("self.loss"), short_name("")
    ('loss', None)
    """
    return text.rpartition(".")[2] or None
