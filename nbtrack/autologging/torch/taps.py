"""Taps on torch's functions: the function stays the same object, and gets other code for a while.

So names that were imported earlier are reached, pickles by name, ``torch.jit.script`` and
``__torch_function__`` go on as before, and putting the code back leaves nothing behind.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

_PREFIX = "_nbtrack_"


class Taps:
    """A set of taps with one way back.

    Examples
    --------
    >>> from nbtrack.autologging.torch.taps import Taps
    >>> space = {}
    >>> exec("def double(x, times=2): return x * times", space)
    >>> taps = Taps()
    >>> taps.before(space["double"], lambda x: print("doubles", x))
    >>> space["double"](4)
    doubles 4
    8
    >>> taps.restore()
    >>> space["double"](4), [name for name in space if "nbtrack" in name]
    (8, [])
    """

    def __init__(self) -> None:
        self._codes: list[tuple[FunctionType, CodeType, CodeType]] = []
        self._names: list[tuple[dict[str, Any], str]] = []

    def before(self, function: object, listener: Callable[[Any], None]) -> None:
        """Call `listener` with the first argument whenever `function` is called."""
        self._tap(
            function,
            "{listener}({first})\nreturn {inner}({all})",
            {"listener": listener},
        )

    def after(
        self,
        function: object,
        listener: Callable[[Any, Any, Any], None],
        *unless: Callable[[], bool],
    ) -> None:
        """Call `listener` with the result, the first argument, and `reduction`, if there is one.

        Parameters
        ----------
        unless
            Asked first, each time; the function is as it was if one says so.
        """
        tests = {f"unless_{i}": test for i, test in enumerate(unless)}
        condition = " or ".join(f"{{{name}}}()" for name in tests) or "False"
        self._tap(
            function,
            f"if {condition}: return {{inner}}({{all}})\n"
            "result = {inner}({all})\n"
            "{listener}(result, {first}, {reduction})\n"
            "return result",
            {"listener": listener, **tests},
        )

    def restore(self) -> None:
        """Put all code back, but where somebody else has replaced it since."""
        while self._codes:
            function, ours, before = self._codes.pop()
            if function.__code__ is ours:
                function.__code__ = before
        while self._names:
            space, name = self._names.pop()
            space.pop(name, None)

    def _tap(self, function: object, body: str, parts: dict[str, Callable[..., Any]]) -> None:
        if not isinstance(function, FunctionType) or function.__closure__:
            return  # not what it was in the versions that this was written for
        if any(known is function for known, *_ in self._codes):
            return
        before, space = function.__code__, function.__globals__
        inner = FunctionType(before, space, function.__name__, function.__defaults__)
        inner.__kwdefaults__ = function.__kwdefaults__
        stem = _PREFIX + re.sub(r"\W", "_", function.__qualname__)
        names = {key: f"{stem}_{key}" for key in ("inner", *parts)}
        ours = _code(function, body, names)
        for key, value in {"inner": inner, **parts}.items():
            space[names[key]] = value
            self._names.append((space, names[key]))
        self._codes.append((function, ours, before))
        function.__code__ = ours


def _code(function: FunctionType, body: str, names: dict[str, str]) -> CodeType:
    """Return code with the signature of `function`, and its place in the source."""
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD} for p in parameters):
        raise TypeError(f"{function.__qualname__} takes any arguments")
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    places = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    text = body.format(
        all=", ".join([*places, *(f"{name}={name}" for name in keywords)]),
        first=places[0],
        reduction="reduction" if "reduction" in places + keywords else "None",
        **names,
    )
    head = ", ".join([*places, *(["*", *keywords] if keywords else [])])
    lines = "\n".join(f"    {line}" for line in text.splitlines())
    tree = ast.parse(f"def {function.__name__}({head}):\n{lines}\n")
    before = function.__code__
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            # Tracebacks show the head of the function, and inspect finds its source.
            node.lineno = node.end_lineno = before.co_firstlineno  # type: ignore[attr-defined]
    module = compile(tree, before.co_filename, "exec")
    code = next(c for c in module.co_consts if isinstance(c, CodeType))
    return code.replace(co_qualname=before.co_qualname)
