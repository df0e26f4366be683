"""What stands in a loop of the user's: what counts it, what it assigns, and what it appends."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
SPLIT = re.compile(r"(train|val|valid|validation|test|eval|dev)(?=_|[A-Z]|$)")
_CLOCKS = re.compile(r"(time\.\w+|perf_counter|monotonic|default_timer|time)$")
_CONVERSIONS = {"item", "cpu", "detach", "numpy", "float", "tolist"}


@dataclass(frozen=True)
class Assigned:
    """What is assigned in a loop.

    Parameters
    ----------
    line
        Where for the last time.
    always
        Whether every round assigns it, whatever is tested or repeated inside.
    """

    line: int
    always: bool


@dataclass(frozen=True)
class Appended:
    """What is appended to a list.

    Parameters
    ----------
    name
        What its values are called: the list's name, or the key or attribute by which it is taken.
    is_key
        Whether that is a key.
    parts
        The names that the value is made of.
    alias
        The variable whose value it is, as text; None if it is made of others.
    line
        Where.
    """

    name: str
    is_key: bool
    parts: frozenset[str]
    alias: str | None
    line: int = 0

    def says_more_than(self, variable: str) -> bool:
        """Whether values are better called by the list than by the variable that they come from.

        Examples
        --------
        >>> from nbtrack.autologging.torch.loops import Appended
        >>> Appended("val_acc", True, frozenset(), None).says_more_than("acc")
        True
        >>> Appended("val_losses", False, frozenset(), None).says_more_than("val_loss")
        False
        """
        if self.is_key and len(self.name) > len(variable):
            return True
        return bool(SPLIT.match(self.name)) and not SPLIT.match(variable)


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
    results
        Variables and attributes assigned in it that may be results of a round. Not sums of which
        the loop makes a mean.
    lists
        What is appended to in it, as text.
    stop
        Where a counter that goes through a `range` stops, as text.
    """

    place: tuple[int, int, int]
    counters: tuple[str, ...]
    stores: frozenset[str]
    results: Mapping[str, Assigned]
    lists: Mapping[str, Appended]
    stop: str | None


def loop_of(node: ast.For | ast.AsyncFor | ast.While) -> Loop:
    """Return what stands in a loop."""
    stores = set(stored(*node.body))
    if isinstance(node, ast.While):
        tested = [n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)]
        counters = [name for name in tested if name in stores]
        if not tested:  # while True
            counters = [name for name in _added_to(node) if name.isidentifier()]
    else:
        counters = [n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)]
        if isinstance(node.iter, ast.Call) and text_of(node.iter.func) == "enumerate":  # batches
            counters = [name for name in counters if "epoch" in name.lower()]
    left_out = set(_clocks(node)) | (set(_added_to(node)) - set(_made_anew(node))) & set(
        _divided(node)
    )
    results = {
        text: assigned
        for text, assigned in sorted(_assigned(node.body).items())
        if not text.rpartition(".")[2].startswith("_") and text not in left_out
    }
    return Loop(
        place=(node.lineno, node.col_offset, node.end_lineno or node.lineno),
        counters=tuple(counters),
        stores=frozenset(stores),
        results=results,
        lists=dict(_appended(node)),
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


def _added_to(loop: ast.AST) -> Iterator[str]:
    for node in ast.walk(loop):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            yield text_of(node.target)


def _made_anew(loop: ast.AST) -> Iterator[str]:
    """Yield what is assigned more than numbers, or is changed otherwise than by adding."""
    for node in ast.walk(loop):
        match node:
            case ast.Assign(targets=[ast.Tuple()], value=ast.Tuple(elts=values)):
                if not all(isinstance(value, ast.Constant) for value in values):
                    yield from _targets(*node.targets)
            case ast.Assign(targets=targets, value=value):
                if not isinstance(value, ast.Constant):
                    yield from _targets(*targets)
            case ast.AugAssign(target=target, op=op):
                if not isinstance(op, ast.Add):
                    yield from _targets(target)


def _divided(loop: ast.AST) -> Iterator[str]:
    """Yield names whose quotient is assigned or appended."""
    for node in ast.walk(loop):
        match node:
            case (
                ast.Assign(value=value) | ast.Call(func=ast.Attribute(attr="append"), args=[value])
            ):
                for part in ast.walk(value):
                    if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div):
                        yield from filter(None, map(text_of, ast.walk(part.left)))


def _assigned(body: list[ast.stmt]) -> dict[str, Assigned]:
    found: dict[str, Assigned] = {}
    direct = set(map(id, body))
    for node in _statements(*body):
        for text in _targets_of(node):
            known = found.get(text)
            line = node.lineno if isinstance(node, ast.stmt | ast.expr) else 0
            found[text] = Assigned(
                max(line, known.line if known else 0),
                id(node) in direct or (known is not None and known.always),
            )
    return found


def stored(*nodes: ast.AST) -> Iterator[str]:
    """Yield what is assigned in `nodes`, but not in functions inside, and not by a ``for``."""
    for node in _statements(*nodes):
        yield from _targets_of(node)


def _statements(*nodes: ast.AST) -> Iterator[ast.AST]:
    waiting = list(nodes)
    first = set(map(id, nodes))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and id(node) not in first:
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def _targets_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assign(targets=targets):
            yield from _targets(*targets)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield from _targets(target)
        case ast.NamedExpr(target=target):
            yield from _targets(target)
        case ast.withitem(optional_vars=ast.expr() as target):
            yield from _targets(target)


def _targets(*targets: ast.expr) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            yield from _targets(*target.elts)
        elif isinstance(target, ast.Starred):
            yield from _targets(target.value)
        elif text := text_of(target):
            yield text


def _appended(loop: ast.AST) -> Iterator[tuple[str, Appended]]:
    """Yield the lists that get one value more."""
    for node in ast.walk(loop):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="append"), args=[value]):
                key = key_of(owner)
                name = short_name(text_of(owner) or key)
                if name is not None:
                    parts = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
                    alias = text_of(_unconverted(value)) or None
                    yield (
                        ast.unparse(owner),
                        Appended(name, bool(key), frozenset(parts), alias, node.lineno),
                    )


def _unconverted(value: ast.expr) -> ast.expr:
    """Return ``x`` of ``x.item()``, ``float(x)`` and the like."""
    match value:
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=[]) if name in _CONVERSIONS:
            return _unconverted(inner)
        case ast.Call(func=ast.Name(id="float" | "round"), args=[inner, *_]):
            return _unconverted(inner)
    return value


def _clocks(loop: ast.AST) -> Iterator[str]:
    """Yield what is assigned the time of day: no result of a round."""
    for node in ast.walk(loop):
        match node:
            case ast.Assign(targets=targets, value=ast.Call(func=function)):
                if _CLOCKS.match(text_of(function)):
                    yield from _targets(*targets)


def text_of(node: ast.AST) -> str:
    """Return the text of a name or of attributes of one; else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := text_of(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def key_of(node: ast.AST) -> str:
    """Return the constant by which an item is taken: ``val`` for ``history['val']``."""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
    return ""


def short_name(text: str) -> str | None:
    """Return the last part of a name, as ``loss`` of ``self.loss``; None for none.

    Examples
    --------
    >>> from nbtrack.autologging.torch.loops import short_name
    >>> short_name("self.loss"), short_name("")
    ('loss', None)
    """
    return text.rpartition(".")[2] or None
