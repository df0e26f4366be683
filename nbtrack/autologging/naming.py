"""What users call their data: the name that it has in the outermost of their functions.

``evaluate(model, X_test, y_test)`` predicts what it calls ``features``; the user calls it
``X_test``. So the name of a parameter is looked up at the call, as long as the callers are the
user's. Where the source does not tell (loops, a library in between, ``*args``), a variable of the
notebook that holds the very same object does. No code of the user's is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any

from nbtrack.autologging.callsite import CallSite, is_library

_MAX_DEPTH = 20
_MODULE = "<module>"
# Parts of frames and arrays that have the same rows, by these attributes.
_VIEWS = frozenset({"T", "array", "iloc", "loc", "values"})
# Methods of frames and arrays whose arguments are no data.
_OWN = frozenset(
    {
        "assign",
        "astype",
        "drop",
        "fillna",
        "filter",
        "query",
        "reindex",
        "reshape",
        "select",
        "take",
    }
)
_DATA = frozenset({"numpy", "pandas", "polars", "scipy", "torch"})
_ARGS, _KEYWORDS = 0x04, 0x08  # flags of code with ``*args`` and ``**kwargs``
_INSTANCES = frozenset({"self", "cls"})


def argument_name(site: CallSite, value: object, index: int | None, keyword: str) -> str | None:
    """Return the user's name of `value`, which is given as an argument by its place or its name."""
    return name_of(site, site.argument(index, keyword), value)


def name_of(
    site: CallSite, expression: ast.expr | None, value: object = None, depth: int = 0
) -> str | None:
    """Return the user's name of the data in an expression of the frame of `site`.

    Parameters
    ----------
    site
        A call in the frame.
    expression
        What is in the call, or was assigned in that frame.
    value
        What the expression is, if that is known: looking into a function's variables keeps them.
    depth
        How many names have led here.
    """
    if depth > _MAX_DEPTH:
        return None
    match _root(expression, site):
        case ast.Name(id=name) as root:
            return _of_variable(site, name, value if root is expression else None, depth)
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute) if owner in _INSTANCES:
            return attribute
        case ast.Attribute(value=holder, attr=attribute):
            outer = name_of(site, holder, depth=depth + 1)
            return f"{outer}.{attribute}" if outer else attribute
        case ast.Subscript(value=holder, slice=ast.Constant(value=str() as key)):
            return f"{name_of(site, holder, depth=depth + 1)}.{key}"
    return None


def _root(expression: ast.expr | None, site: CallSite) -> ast.expr | None:
    """Return the part that names the data: ``X`` of ``scaler.transform(X)[:100]``."""
    while expression is not None and not _names_data(expression, site):
        match expression:
            case ast.Subscript(
                value=ast.Attribute(attr="c_" | "r_"), slice=ast.Tuple(elts=[first, *_])
            ):
                expression = first  # numpy's columns, and rows, side by side
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value):
                expression = value
            case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _OWN:
                expression = owner
            case ast.Call(args=[first, *_]):
                expression = first
            case ast.Call(func=ast.Attribute(value=value)):
                expression = value
            case _:
                return None
    return expression


def _names_data(expression: ast.expr, site: CallSite) -> bool:
    """Whether an expression is a name: of a variable, of an attribute, or in a dict."""
    match expression:
        case ast.Name():
            return True
        case ast.Attribute(value=ast.Name() | ast.Attribute(), attr=attribute):
            return attribute not in _VIEWS
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)):
            return key.isidentifier() and type(_global(value, site)) is dict
    return False


def _global(expression: ast.expr, site: CallSite) -> object:
    """Return the value of an expression, if that is in no function's variables."""
    names = [node.id for node in ast.walk(expression) if isinstance(node, ast.Name)]
    local = any(_owner(site.frame, name) is not None for name in names)
    return None if local else evaluate(expression, site)


def _of_variable(site: CallSite, name: str, value: object, depth: int) -> str | None:
    """Return what the user calls what is in the variable `name` of a frame."""
    owner = _owner(site.frame, name)
    if owner is not None and owner is not site.frame:
        site = CallSite(owner)
    if name in site.loops:
        return _alias(site, name, value) or name
    parameter = None if owner is None else _parameter(site, name)
    if owner is None or parameter is None:
        return name
    given = _given(owner, parameter)
    known = None if given is None else name_of(*given, value, depth + 1)
    return known or _alias(site, name, value)


def _parameter(site: CallSite, name: str) -> str | None:
    """Return the parameter of a function whose rows a variable has, in another form or as is."""
    at = name
    for _ in range(_MAX_DEPTH):
        values = site.assigned_locally(at)
        root = _root(values[-1], site) if values else None
        if not isinstance(root, ast.Name) or root.id == at:  # `X = np.asarray(X)`
            break
        at = root.id
    if at not in parameters(site.frame):
        return None
    # A part of the rows has a name of its own.
    rows = None if at == name else _rows(site.value(name))
    return at if at == name or (rows is not None and rows == _rows(site.value(at))) else None


def _owner(frame: FrameType, name: str) -> FrameType | None:
    """Return the frame of the function that `name` is a variable of; None for globals."""
    at: FrameType | None = frame
    while at is not None and at.f_code.co_name != _MODULE:
        code = at.f_code
        if name in code.co_varnames or name in code.co_cellvars:
            return at
        if name not in code.co_freevars and at is frame:
            return None
        at = at.f_back
    return None


def parameters(frame: FrameType) -> tuple[str, ...]:
    """Return the names of a function's parameters, those for all the rest last."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & _ARGS) + bool(code.co_flags & _KEYWORDS)
    return () if code.co_varnames[:1] == (".0",) else code.co_varnames[:count]


def _given(frame: FrameType, name: str) -> tuple[CallSite, ast.expr] | None:
    """Return the expression that the caller of a function has given for a parameter, and where."""
    code, names = frame.f_code, parameters(frame)
    place = names.index(name) if name in names[: code.co_argcount] else None
    return _passed(frame, place, name)


def _passed(
    frame: FrameType, place: int | None, keyword: str, depth: int = 0
) -> tuple[CallSite, ast.expr] | None:
    """Return what was passed to a function by place or keyword, through ``*args`` as well."""
    caller = frame.f_back
    site = None if caller is None or depth > _MAX_DEPTH else CallSite(caller)
    if caller is None or site is None or site.call is None:
        return None
    names, call = parameters(frame), site.call
    if place is not None and names[:1] and names[0] in _INSTANCES:
        place -= not _is_explicit(call, frame.f_code.co_name)
    for index, value in enumerate(() if place is None else call.args[: place + 1]):
        if isinstance(value, ast.Starred):
            first = _packed(caller, value.value, _ARGS)
            rest = None if first is None or place is None else first + place - index
            return None if rest is None else _passed(caller, rest, "", depth + 1)
        if index == place:
            return site, value
    for given in call.keywords:
        if given.arg == keyword:
            return site, given.value
        if given.arg is None and _packed(caller, given.value, _KEYWORDS) is not None:
            return _passed(caller, None, keyword, depth + 1)
    return None


def _is_explicit(call: ast.Call, function: str) -> bool:
    """Whether a method is called as ``Class.method(instance)``."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
            return attribute == function and owner[:1].isupper()
    return False


def _packed(frame: FrameType, value: ast.expr, flag: int) -> int | None:
    """Return where the arguments begin that are all in ``*args`` or ``**kwargs``; else None."""
    code = frame.f_code
    if not isinstance(value, ast.Name) or not code.co_flags & flag:
        return None
    last = code.co_argcount + code.co_kwonlyargcount
    last += flag == _KEYWORDS and bool(code.co_flags & _ARGS)
    return code.co_argcount if code.co_varnames[last] == value.id else None


def _alias(site: CallSite, variable: str, value: object) -> str | None:
    """Return the name of a global variable that holds the very object; loops have none."""
    value = site.value(variable) if value is None else value
    if not is_data(value) and not isinstance(value, list):
        return None
    for names in _globals(site.frame):
        for name, known in list(names.items()):
            if known is value and not name.startswith("_") and name not in site.loops:
                return str(name)
    return None


def _globals(frame: FrameType | None) -> Iterator[dict[str, Any]]:
    """Yield the variables of the module of `frame`, and of the user's that called it."""
    seen: list[dict[str, Any]] = []
    while frame is not None:
        is_first = not seen
        if is_first or (frame.f_code.co_name == _MODULE and not is_library(frame)):
            names = frame.f_globals
            if all(names is not known for known in seen):
                seen.append(names)
                yield names
        frame = frame.f_back


def is_data(value: object) -> bool:
    """Whether `value` is an array, a frame or the like."""
    package = type(value).__module__.partition(".")[0]
    return package in _DATA and isinstance(getattr(value, "shape", None), tuple)


def _rows(value: object) -> int | None:
    if is_data(value):
        return next(iter(getattr(value, "shape", ())), None)
    return len(value) if isinstance(value, list) else None


def evaluate(expression: ast.expr, site: CallSite) -> Any:
    """Return the value of a name, attribute or item without running any code; None if unknown."""
    match expression:
        case ast.Name(id=name):
            return site.value(name)
        case ast.Constant(value=value):
            return value
        case ast.Attribute(value=owner, attr=attribute):
            # Only what the instance itself holds: a property might do anything.
            return getattr(evaluate(owner, site), "__dict__", {}).get(attribute)
        case ast.Subscript(value=owner, slice=index):
            container, key = evaluate(owner, site), evaluate(index, site)
            if type(container) is dict and type(key) in {str, int}:
                return container.get(key)
            if type(container) in {list, tuple} and type(key) is int:
                return container[key] if -len(container) <= key < len(container) else None
    return None
