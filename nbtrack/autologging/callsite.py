"""What the user wrote: from a frame that is at a call, to the call's syntax, to names.

The position of the running instruction, which Python keeps since 3.11, is the position of the
call in the source. Notebook cells have their source in `linecache`; those of earlier cells are in
the user's namespace as ``In``, where IPython puts them. Without source there are no names, and
nothing else changes.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import os
import re
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import FrameType
from typing import Any

_LIBRARIES = tuple(
    os.path.join(path, "")  # noqa: PTH118  # frames have plain strings
    for path in {sysconfig.get_path(key) for key in ("stdlib", "purelib", "platlib")}
)
_EARLIER_CELLS = 200
_EMPTY_LINES = re.compile(r"\A(\s*\n)+")
_Position = tuple[int | None, int | None, int | None, int | None]
_Loop = ast.For | ast.AsyncFor | ast.While
_Place = tuple[int, int]
# Methods that put something into what is there.
_ADDING = frozenset({"append", "extend", "insert"})
# Python 3.11 counts the depth of the trees that all threads make as one, and takes offence.
_parsing = threading.Lock()
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class _Assigned:
    """What something is assigned, where that ends, whether it adds to what was there; its loop."""

    end: _Place
    value: ast.expr
    adds: bool
    loop: _Loop | None

    def is_mixed(self, before: _Place | None) -> bool:
        """Whether a loop that has ended has added what several things had to say."""
        loop, call = self.loop, _method_call(self.value)
        if loop is None or not self.adds or call is None:
            return False
        end = loop.end_lineno or 0
        return (before is None or before[0] > end) and call in _stored(loop)


_Table = dict[str, list[_Assigned]]


class Source:
    """A parsed cell or file: its calls by position, and what its names were assigned."""

    def __init__(self, text: str) -> None:
        tree = ast.parse(text)
        self.module: list[ast.stmt] = tree.body
        self.calls: dict[_Position, ast.Call] = {}
        self.loops: set[str] = set()
        """Names that loops and comprehensions give to one thing after the other."""
        self._tables: dict[int, _Table] = {}
        self._functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self.calls[position(node)] = node
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._functions.append(node)
            elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
                targets = ast.walk(node.target)
                self.loops |= {name.id for name in targets if isinstance(name, ast.Name)}

    def assigned(self, body: list[ast.stmt], text: str, before: _Place | None) -> list[ast.expr]:
        """Return what the last statement of `body` before a place that assigns `text` gives it."""
        table = self._tables.get(id(body))
        if table is None:
            table = self._tables[id(body)] = _table(body)
        found: list[ast.expr] = []
        for given in table.get(text, ()):
            if before is None or given.end <= before:
                kept = [] if given.is_mixed(before) else [given.value]
                found = found + kept if given.adds else kept  # `p += q` adds to what p was
        return found

    def function(self, line: int) -> list[ast.stmt]:
        """Return the body of the innermost function around `line`; empty outside of functions."""
        around = [f for f in self._functions if f.lineno <= line <= (f.end_lineno or 0)]
        return max(around, key=lambda f: f.lineno).body if around else []


def position(node: ast.expr) -> _Position:
    """Return where `node` stands, as code objects have it."""
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


@lru_cache(maxsize=256)
def parse(text: str) -> Source | None:
    """Parse `text`; None if it is no Python."""
    try:
        with _parsing:
            return Source(text)
    except (SyntaxError, ValueError, RecursionError, SystemError):
        return None  # a cell in another language, or beyond the parser: there are no names


def is_library(frame: FrameType) -> bool:
    """Whether installed code is running in `frame`, and not the user's."""
    filename = frame.f_code.co_filename
    return filename.startswith(_LIBRARIES) or "dist-packages" in filename


def cells(frame: FrameType) -> list[str]:
    """Return the sources of the notebook's cells, the running one last; empty in a script."""
    history = frame.f_globals.get("In")
    if not isinstance(history, list):
        return []
    return [text for text in history[-_EARLIER_CELLS:] if isinstance(text, str)]


def texts(frame: FrameType) -> Iterator[str]:
    """Yield the texts that `frame` may run, most likely first, their lines as its code has them."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    if lines:
        yield "".join(lines)
    elif history := cells(frame):
        # `%%time` and its kind compile the rest of the cell under a made-up file name. IPython
        # has rewritten the cell to a call of the magic with that text.
        magic = parse(history[-1])
        for call in magic.calls.values() if magic else ():
            for argument in call.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    # IPython takes empty lines off the beginning before it compiles the rest.
                    yield _EMPTY_LINES.sub("", argument.value)


class CallSite:
    """The call that `frame` is making.

    Parameters
    ----------
    frame
        Frame of the caller. It is read here and in `value`; keep no `CallSite` beyond the call.
    function
        Name of the function that is called, to be sure to have the right call; None for a frame
        that has called one of Python's, which may be called anything.
    """

    def __init__(self, frame: FrameType, function: str | None = None) -> None:
        self.frame = frame
        self.call: ast.Call | None = None
        self._source: Source | None = None
        if is_library(frame):
            return
        instruction = frame.f_lasti // 2
        where = next(islice(frame.f_code.co_positions(), instruction, None), None)
        for source in filter(None, map(parse, texts(frame))):
            call = source.calls.get(where) if where else None
            if call is not None and _calls(call, function):
                self.call, self._source = call, source
                return
            if function is None and self._source is None:
                self._source = source  # a comprehension, say: it is no call in the source

    @property
    def text(self) -> str:
        """The call as the user wrote it, but for white space."""
        return ast.unparse(self.call) if self.call is not None else ""

    def argument(self, index: int | None, *keywords: str) -> ast.expr | None:
        """Return the expression given as an argument, by its place or by one of its names."""
        if self.call is None:
            return None
        for keyword in self.call.keywords:
            if keyword.arg in keywords:
                return keyword.value
        if index is None or any(isinstance(a, ast.Starred) for a in self.call.args[: index + 1]):
            return None
        return self.call.args[index] if index < len(self.call.args) else None

    def is_lasting(self, index: int | None, *keywords: str) -> bool:
        """Whether what is given outlives the call, as far as known: it has a name."""
        argument = self.argument(index, *keywords)
        return self.call is None or isinstance(argument, ast.Attribute | ast.Name)

    @property
    def loops(self) -> set[str]:
        """Names in the same source that stand for one thing after the other."""
        return set() if self._source is None else self._source.loops

    def value(self, name: str) -> Any:
        """Return what `name` is bound to at the call, or None."""
        frame, code = self.frame, self.frame.f_code
        # Since Python 3.12 a comprehension has its variables where it stands, in a module, too.
        if code.co_name != "<module>" or name in code.co_varnames:
            # Before Python 3.13 the frame keeps this snapshot, and what is in it, until the
            # function returns; so it is taken only when there is no other way.
            local = frame.f_locals
            if name in local:
                return local[name]
        return frame.f_globals.get(name)

    def assigned(self, name: str) -> list[ast.expr]:
        """Return the expressions last assigned to `name` (or ``df['p']``) before the call."""
        if self._source is None or self.call is None:
            return []
        source, call = self._source, self.call
        rest = None if source.function(call.lineno) else (call.lineno, call.col_offset)
        found = self.assigned_locally(name) or source.assigned(source.module, name, rest)
        if found:
            return found
        for text in reversed(cells(self.frame)[:-1]):
            cell = parse(text)
            if cell is not None and (found := cell.assigned(cell.module, name, None)):
                return found
        return []

    def assigned_locally(self, name: str) -> list[ast.expr]:
        """Return the expressions last assigned to a variable of the function of the call."""
        if self._source is None:
            return []
        call = self.call
        place = (self.frame.f_lineno, 0) if call is None else (call.lineno, call.col_offset)
        return self._source.assigned(self._source.function(place[0]), name, place)


def _calls(call: ast.Call, function: str | None) -> bool:
    """Whether `call` may be one of `function`: not of `map` or of another method."""
    if function is not None and isinstance(call.func, ast.Attribute):
        return call.func.attr == function
    return not (isinstance(call.func, ast.Name) and hasattr(builtins, call.func.id))


def _table(body: list[ast.stmt]) -> _Table:
    """Return, by what is assigned, the assignments in `body` in the order of the source."""
    table: _Table = {}
    for statement, loop in _statements(body, None):
        adds = isinstance(statement, ast.AugAssign)
        for target, value in _assignments(statement):
            end = value.end_lineno or 0, value.end_col_offset or 0
            for node in ast.walk(target):
                stored = isinstance(getattr(node, "ctx", None), ast.Store)
                if stored and (text := target_text(node)):
                    table.setdefault(text, []).append(_Assigned(end, value, adds, loop))
            if (container := _added_to(target)) is not None:
                table.setdefault(container, []).append(_Assigned(end, value, True, loop))
    return table


def _statements(
    body: list[ast.stmt], loop: _Loop | None
) -> Iterator[tuple[ast.stmt, _Loop | None]]:
    """Yield the statements of `body` and of its blocks, in order, but not of its functions.

    With each comes the outermost loop around it.
    """
    for statement in body:
        yield statement, loop
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            continue
        around = loop or (statement if isinstance(statement, _Loop) else None)
        for field in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, field, []), around)
        for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _statements(part.body, around)


def _added_to(target: ast.expr) -> str | None:
    """Return the variable that a part is put into: by a method, or as ``out[i:j]``.

    A column, ``df['p']``, is one thing by itself.
    """
    match target:
        case ast.Attribute(value=ast.Name(id=name), attr=method, ctx=ast.Load()):
            return name if method in _ADDING else None
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            return None if isinstance(index, ast.Constant) else name
    return None


def _method_call(value: ast.expr) -> str | None:
    """Return the variable whose method is called in an expression, if there is one."""
    for node in ast.walk(value):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
                return name
    return None


def _stored(loop: ast.AST) -> set[str]:
    """Return the names that are assigned anywhere in a loop."""
    names = (node for node in ast.walk(loop) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


def _assignments(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield target and value of what `statement` itself assigns."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _pairs(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.AugAssign(target=target, value=value):
            yield target, value
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            yield target, value
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                if item.optional_vars is not None:
                    yield item.optional_vars, item.context_expr
        case ast.Expr(value=expression):
            yield from _expressed(expression)


def _expressed(expression: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield what an expression that is a statement assigns, or puts into something."""
    match expression:
        case ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.Call(func=ast.Attribute() as method, args=[*_, value]):
            yield method, value


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Split ``a, b = x, y`` into its parts."""
    sequence = ast.Tuple | ast.List
    if (
        isinstance(target, sequence)
        and isinstance(value, sequence)
        and len(target.elts) == len(value.elts)
    ):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


def target_text(node: ast.AST) -> str:
    """Return the text of something that can be assigned, as ``df['p']``; else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Subscript) else ""
