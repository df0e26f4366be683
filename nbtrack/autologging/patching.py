"""Patches that leave no trace: method hooks, attributes, closure cells, and modules to come.

Nothing here knows a library. A patch is made through `Patches`, which can put everything back so
that ``dict(vars(owner))`` holds the very same objects as before.
"""

from __future__ import annotations

import copy
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial, update_wrapper
from importlib.machinery import ModuleSpec
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

Wrap = Callable[[FunctionType], Callable[..., Any]]
_MISSING: Any = object()


class Hook:
    """Stands in a class for a method: instances get the wrapped one, the class the original.

    It is no function, so whoever takes the method from the class (``super`` calls aside) has the
    original: subclass machinery, signatures, documentation tools. Pickled with its class by
    value, it becomes the original, and nothing of this package goes along.

    Parameters
    ----------
    original
        What stood in the class: a function, or a descriptor that holds one as ``fn`` and may
        refuse to hand it out, as scikit-learn's ``available_if`` does.
    wrap
        Makes the function that instances get from the one that stood there; it is given that
        one's name, documentation and signature.

    Examples
    --------
    >>> from nbtrack.autologging.patching import Hook
    >>> class Greeter:
    ...     def greet(self):
    ...         return "hello"
    >>> Greeter.greet = Hook(Greeter.greet, lambda greet: lambda self: greet(self) + "!")
    >>> Greeter().greet(), Greeter.greet(Greeter())
    ('hello!', 'hello')
    """

    __slots__ = ("_guarded", "original", "wrapper")

    def __init__(self, original: Any, wrap: Wrap) -> None:
        self.original = original
        self._guarded = not isinstance(original, FunctionType)
        function = original.fn if self._guarded else original
        self.wrapper = update_wrapper(
            _Wrapper(_called(function.__name__, wrap(function))), function
        )

    @staticmethod
    def fits(value: object) -> bool:
        """Whether `value`, as it stands in a class, can be hooked."""
        return isinstance(value, FunctionType) or (
            isinstance(getattr(value, "fn", None), FunctionType) and hasattr(value, "__get__")
        )

    @property
    def __isabstractmethod__(self) -> bool:
        return getattr(self.original, "__isabstractmethod__", False)

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self.original.__get__(None, owner)
        if self._guarded:
            self.original.__get__(instance, owner)  # AttributeError where it is not available
        return MethodType(self.wrapper, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickled_as(self.original)


class _Wrapper(partial[Any]):
    """What a hooked method calls. No function, since cloudpickle would take that along."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _pickled_as(vars(self)["__wrapped__"])


def _called(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with another name in tracebacks and to those who look at the stack.

    A method that asks who called it (scikit-learn's own tests do) gets the same answer as ever.
    """
    if isinstance(function, FunctionType):
        function.__code__ = _renamed(function.__code__, name)
    return function


@lru_cache(maxsize=1024)
def _renamed(code: CodeType, name: str) -> CodeType:
    return code.replace(co_name=name)


def _pickled_as(original: object) -> tuple[Any, ...]:
    """Return the reduction to `original`: copying a function gives the function itself."""
    return copy.copy, (original,)


_PLACE = "the wrapper"


def _trampoline(*args: Any, **kwargs: Any) -> Any:
    """Call the wrapper, which takes the place of a constant in this code."""
    __tracebackhide__ = True
    wrapper: Any = "the wrapper"
    return wrapper(*args, **kwargs)


class Patches:
    """A set of patches with one way back.

    Every method does nothing where its patch is in place already. `restore` leaves alone what
    somebody else has replaced since.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from nbtrack.autologging.patching import Patches
    >>> owner, patches = SimpleNamespace(greet="hello"), Patches()
    >>> patches.attribute(owner, "greet", "good evening")
    >>> patches.restore()
    >>> owner.greet
    'hello'
    """

    def __init__(self) -> None:
        # Weak, and without the originals: a method that says `super()` holds its class, and a
        # class made in a notebook cell must go when the cell is run again.
        self._hooked: weakref.WeakSet[type] = weakref.WeakSet()
        self._attributes: list[tuple[Any, str, Any, Any]] = []
        self._cells: list[tuple[CellType, Any, Any]] = []
        self._functions: list[tuple[FunctionType, CodeType, CodeType]] = []

    def hook(self, owner: type, name: str, wrap: Wrap) -> None:
        """Put a `Hook` where `owner` itself defines the method `name`."""
        value = vars(owner).get(name)
        if value is not None and not isinstance(value, Hook) and Hook.fits(value):
            setattr(owner, name, Hook(value, wrap))
            self._hooked.add(owner)

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a class or module that lives as long as the process."""
        before = vars(owner).get(name, _MISSING)
        if any(o is owner and n == name and v is before for o, n, v, _ in self._attributes):
            return
        self._attributes.append((owner, name, value, before))
        setattr(owner, name, value)

    def after_subclassing(self, owner: type[Any], callback: Callable[[type], None]) -> None:
        """Call `callback` with every subclass of `owner` that is made from now on."""
        own = vars(owner).get("__init_subclass__")

        def __init_subclass__(cls: type[Any], /, **options: Any) -> None:  # noqa: N807
            if own is None:
                super(owner, cls).__init_subclass__(**options)
            else:
                own.__func__(cls, **options)
            callback(cls)

        self.attribute(owner, "__init_subclass__", classmethod(__init_subclass__))

    def cell(self, function: object, variable: str, wrap: Wrap) -> None:
        """Wrap the function that `function` holds in its closure as `variable`.

        `function` stays the same object, so this reaches everybody who has imported it already.
        """
        if not isinstance(function, FunctionType) or not function.__closure__:
            return
        if variable not in function.__code__.co_freevars:
            return
        cell = function.__closure__[function.__code__.co_freevars.index(variable)]
        inner = cell.cell_contents
        if isinstance(inner, FunctionType) and all(c is not cell for c, _, _ in self._cells):
            wrapper = update_wrapper(wrap(inner), inner)
            self._cells.append((cell, wrapper, inner))
            cell.cell_contents = wrapper

    def function(self, function: object, wrap: Callable[[FunctionType], Any]) -> None:
        """Wrap a function that stands by itself, for everybody who has imported it already, too.

        The object stays the same, with its name, signature and defaults: its code is replaced by
        a call of the wrapper, which is given a function that does what this one did.
        """
        if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
            return
        if function.__closure__:
            return  # code with a closure cannot take the place of code without, nor the other way
        if any(known is function for known, _, _ in self._functions):
            return
        code, name = function.__code__, function.__name__
        original = FunctionType(code, function.__globals__, name, function.__defaults__)
        original.__kwdefaults__ = function.__kwdefaults__
        del update_wrapper(original, function).__wrapped__
        wrapper, template = wrap(original), _renamed(_trampoline.__code__, name)
        consts = (wrapper if value == _PLACE else value for value in template.co_consts)
        ours = template.replace(co_consts=tuple(consts))
        function.__code__ = ours
        function.__wrapped__ = original  # type: ignore[attr-defined]  # inspect looks for it
        self._functions.append((function, ours, code))

    def restore(self) -> None:
        """Put everything back, in reverse order."""
        self._restore_functions()
        while self._cells:
            cell, ours, before = self._cells.pop()
            if cell.cell_contents is ours:
                cell.cell_contents = before
        while self._attributes:
            owner, name, ours, before = self._attributes.pop()
            if vars(owner).get(name) is not ours:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        for cls in list(self._hooked):
            for name, value in list(vars(cls).items()):
                if isinstance(value, Hook):
                    setattr(cls, name, value.original)
        self._hooked.clear()

    def _restore_functions(self) -> None:
        while self._functions:
            function, ours, before = self._functions.pop()
            if function.__code__ is ours:
                function.__code__ = before
                vars(function).pop("__wrapped__", None)


class ImportWatcher:
    """A finder on ``sys.meta_path`` that finds nothing, but tells when a module was executed.

    The finders behind it find the module; the one loader object made for it gets an
    ``exec_module`` of its own, which is gone again once the module is there.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[ModuleType], None]]] = {}

    def watch(self, name: str, callback: Callable[[ModuleType], None]) -> None:
        """Call `callback` with the module `name`, now or as soon as it has been imported."""
        self._callbacks.setdefault(name, []).append(callback)
        if name in sys.modules:
            callback(sys.modules[name])

    def install(self) -> None:
        """Stand before the other finders."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def restore(self) -> None:
        """Leave ``sys.meta_path`` and forget all modules."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self._callbacks.clear()

    def forget(self, names: Iterable[str]) -> None:
        """Forget some modules."""
        for name in names:
            self._callbacks.pop(name, None)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders say of `name`, for a watched module; else None."""
        if name not in self._callbacks:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = (
                None if finder is self or find is None else find(name, path, target)
            )
            if spec is not None:
                self._listen(spec)
                return spec
        return None

    def _listen(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        if not hasattr(loader, "__dict__") or isinstance(loader, type):
            return  # a built-in or frozen module: no library worth watching is one
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == spec.name:  # a zip file has one loader for all its modules
                vars(loader).pop("exec_module", None)
                for callback in self._callbacks.get(spec.name, ()):
                    callback(module)

        loader.exec_module = exec_module
