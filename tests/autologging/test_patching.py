"""The patch machinery, on small classes of our own."""

import abc
import gc
import importlib
import inspect
import pickle
import sys
import weakref

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.autologging.patching import Hook, ImportWatcher, Patches


def louder(greet):
    def wrapper(self, *args):
        return greet(self, *args) + "!"

    return wrapper


def louder_list(ask):
    def wrapper(self):
        return ask(self)

    return wrapper


class Person:
    def greet(self, name="you"):
        """Say hello."""
        return f"hello {name}"

    def leave(self):
        return "bye"


class Child(Person):
    def greet(self, name="you"):
        return super().greet(name) + ", child"


@pytest.fixture
def patches():
    patches = Patches()
    yield patches
    patches.restore()


def test_hook_wraps_for_instances_only(patches):
    original = Person.greet
    patches.hook(Person, "greet", louder)
    assert Person().greet("me") == "hello me!"
    assert Person.greet is original
    assert Person.greet(Person()) == "hello you"
    assert Person().leave() == "bye"


def test_hook_is_reached_by_super_and_by_bound_pickles(patches):
    patches.hook(Person, "greet", louder)
    assert Child().greet() == "hello you!, child"
    assert pickle.loads(pickle.dumps(Person().greet))() == "hello you!"


def test_who_looks_at_the_stack_sees_the_method_twice(patches):
    class Curious:
        def ask(self):
            return [frame.function for frame in inspect.stack()[:3]]

    patches.hook(Curious, "ask", louder_list)
    assert Curious().ask()[:2] == ["ask", "ask"]


def test_hook_only_where_the_class_itself_defines_the_method(patches):
    patches.hook(Child, "leave", louder)
    patches.hook(Child, "nothing", louder)
    assert set(vars(Child)) & {"leave", "nothing"} == set()


def test_hooking_twice_wraps_once(patches):
    patches.hook(Person, "greet", louder)
    patches.hook(Person, "greet", louder)
    assert Person().greet() == "hello you!"


def test_restore_gives_the_very_same_objects(patches):
    before = dict(vars(Person))
    patches.hook(Person, "greet", louder)
    patches.attribute(Person, "leave", lambda self: "stay")
    patches.attribute(Person, "extra", 1)
    patches.after_subclassing(Person, lambda cls: None)
    assert dict(vars(Person)) != before
    patches.restore()
    after = dict(vars(Person))
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)


def test_restore_leaves_what_others_have_replaced(patches):
    class Mine:
        def greet(self):
            return "a"

        colour = "red"

    def theirs(self):
        return "theirs"

    patches.hook(Mine, "greet", louder)
    patches.attribute(Mine, "colour", "blue")
    Mine.greet, Mine.colour = theirs, "green"
    patches.restore()
    assert (Mine.greet, Mine.colour) == (theirs, "green")


@given(st.lists(st.sampled_from(["hook", "attribute", "subclass", "cell", "restore"]), max_size=12))
def test_any_order_of_patches_is_undone(steps):
    def make():
        def inner():
            return "inner"

        def outer():
            return inner()

        return outer

    class Owner:
        name = "x"

        def greet(self):
            return "a"

    outer, patches, before = make(), Patches(), dict(vars(Owner))
    inner = outer.__closure__[0].cell_contents
    actions = {
        "hook": lambda: patches.hook(Owner, "greet", louder),
        "attribute": lambda: patches.attribute(Owner, "name", "y"),
        "subclass": lambda: patches.after_subclassing(Owner, lambda cls: None),
        "cell": lambda: patches.cell(outer, "inner", lambda f: lambda: f() + "!"),
        "restore": patches.restore,
    }
    for step in [*steps, "restore"]:
        actions[step]()
        if step in {"cell", "restore"}:
            assert outer() == ("inner!" if step == "cell" else "inner")
    after = dict(vars(Owner))
    after.pop("__weakref__", None)
    before.pop("__weakref__", None)
    assert {k: id(v) for k, v in after.items()} == {k: id(v) for k, v in before.items()}
    assert outer.__closure__[0].cell_contents is inner


def test_hooked_class_is_pickled_by_value_without_us(patches):
    namespace = {"__name__": "__main__"}
    exec("class Local:\n    def greet(self):\n        return 'hi'\n", namespace)
    local = namespace["Local"]
    plain = cloudpickle.dumps(local)
    patches.hook(local, "greet", louder)
    hooked = cloudpickle.dumps(local)
    assert b"nbtrack" not in hooked.replace(b"nbtrack_", b"")
    assert b"louder" not in hooked
    copy = pickle.loads(hooked)
    assert copy().greet() == "hi"
    assert len(plain) > 0


def test_abstract_methods_stay_abstract():
    class Base:
        def __init_subclass__(cls):
            for name in ("fit", "predict"):
                if name in vars(cls):
                    setattr(cls, name, Hook(vars(cls)[name], louder))

    class Abstract(Base, abc.ABC):
        @abc.abstractmethod
        def fit(self): ...

        def predict(self):
            return "p"

    assert Abstract.__abstractmethods__ == {"fit"}
    with pytest.raises(TypeError, match="abstract"):
        Abstract()


def test_descriptor_that_may_refuse(patches):
    class Available:
        def __init__(self, fn):
            self.fn = fn

        def __get__(self, instance, owner=None):
            if instance is not None and not instance.able:
                raise AttributeError("not able")
            return self.fn if instance is None else self.fn.__get__(instance)

    class Machine:
        able = True

        @Available
        def greet(self):
            return "beep"

    descriptor = vars(Machine)["greet"]
    patches.hook(Machine, "greet", louder)
    machine = Machine()
    assert machine.greet() == "beep!"
    machine.able = False
    assert not hasattr(machine, "greet")
    patches.restore()
    assert vars(Machine)["greet"] is descriptor


def test_after_subclassing_sees_new_classes_and_passes_options(patches):
    seen = []

    class Base:
        def __init_subclass__(cls, colour="red", **options):
            super().__init_subclass__(**options)
            cls.colour = colour

    class Plain:
        pass

    for owner in (Base, Plain):
        patches.after_subclassing(owner, seen.append)
        patches.after_subclassing(owner, seen.append)

    class A(Base, colour="blue"):
        pass

    class B(Plain):
        pass

    assert seen == [A, B]
    assert A.colour == "blue"
    with pytest.raises(TypeError):
        type("C", (Plain,), {}, unknown=1)


def test_hooked_classes_can_be_collected(patches):
    class Base:
        def greet(self):
            return "a"

    class Gone(Base):
        def greet(self):
            return super().greet()  # holds the class in its closure

    patches.hook(Gone, "greet", louder)
    gone = weakref.ref(Gone)
    del Gone
    gc.collect()
    assert gone() is None


def test_cell_keeps_the_function_and_reaches_earlier_names(patches):
    def decorate(func):
        def wrapper(x):
            return func(x)

        return wrapper

    @decorate
    def double(x):
        return 2 * x

    earlier = double
    patches.cell(double, "func", lambda f: lambda x: f(x) + 1)
    patches.cell(double, "func", lambda f: lambda x: f(x) + 1)
    assert earlier(2) == 5
    patches.restore()
    assert earlier(2) == 4


@pytest.mark.parametrize("target", [len, lambda: 1, object(), None, Person])
def test_cell_ignores_what_has_no_such_variable(patches, target):
    patches.cell(target, "func", lambda f: pytest.fail("nothing to wrap"))


@pytest.fixture
def package(tmp_path, monkeypatch):
    name = "library_to_come"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("value = 1\n")
    (tmp_path / name / "part.py").write_text("value = 2\n")
    (tmp_path / name / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def watcher():
    before = list(sys.meta_path)
    watcher = ImportWatcher()
    watcher.install()
    watcher.install()
    yield watcher
    watcher.restore()
    watcher.restore()
    assert sys.meta_path == before


def test_watcher_tells_of_imports(package, watcher):
    seen = []
    watcher.watch(f"{package}.part", lambda module: seen.append((module.__name__, module.value)))
    importlib.import_module(package)
    assert seen == []
    part = importlib.import_module(f"{package}.part")
    assert seen == [(f"{package}.part", 2)]
    assert "exec_module" not in vars(part.__spec__.loader)
    assert inspect.getsource(part) == "value = 2\n"
    importlib.reload(part)
    assert len(seen) == 2


def test_watcher_tells_at_once_of_what_is_there(package, watcher):
    importlib.import_module(package)
    seen = []
    watcher.watch(package, seen.append)
    assert seen == [sys.modules[package]]


def test_watcher_changes_no_failure(package, watcher):
    for name in (f"{package}.broken", f"{package}.missing"):
        watcher.watch(name, lambda module: pytest.fail("it was not imported"))
    with pytest.raises(ZeroDivisionError):
        importlib.import_module(f"{package}.broken")
    with pytest.raises(ModuleNotFoundError, match="missing"):
        importlib.import_module(f"{package}.missing")


def add(a, b=2, *, c=3):
    """Add."""
    return a + b + c


def test_function_reaches_names_imported_earlier(patches):
    earlier, before = add, (add.__code__, dict(vars(add)))
    seen = []

    def wrap(function):
        def wrapper(*args, **kwargs):
            seen.append((args, kwargs))
            return function(*args, **kwargs) * 10

        return wrapper

    patches.function(add, wrap)
    patches.function(add, wrap)  # once is enough
    assert earlier(1) == 60
    assert earlier(1, b=0, c=0) == 10
    assert seen == [((1,), {}), ((1,), {"b": 0, "c": 0})]
    with pytest.raises(TypeError, match=r"add\(\) missing 1 required positional argument: 'a'"):
        earlier()
    assert str(inspect.signature(add)) == "(a, b=2, *, c=3)"
    assert (add.__name__, add.__doc__, add.__defaults__) == ("add", "Add.", (2,))
    assert pickle.loads(pickle.dumps(add)) is add
    assert "return a + b + c" in inspect.getsource(add)
    patches.restore()
    assert (add.__code__, dict(vars(add))) == before
    assert earlier(1) == 6


def test_function_leaves_alone_what_it_cannot_replace(patches):
    def outer():
        value = 1
        return lambda: value

    closure = outer()
    code = closure.__code__
    patches.function(closure, louder)
    patches.function(len, louder)
    assert closure.__code__ is code


def test_function_that_somebody_else_has_replaced_since(patches):
    def mine():
        return 1

    def other():
        return 2

    before = mine.__code__
    patches.function(mine, lambda function: lambda: function() + 10)
    assert mine() == 11
    mine.__code__ = other.__code__
    patches.restore()
    assert mine() == 2
    assert mine.__code__ is not before
