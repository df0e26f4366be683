"""Models that are code of the user's own: their base class, and pickles that MLflow loads.

In a pickle that is written here, the base class is MLflow's: where it is loaded, nbtrack need not
be installed. In one that MLflow has written, MLflow's classes are ours: MLflow need not be.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import types
import uuid
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nbtrack.errors import InvalidParameterError, MissingPackageError
from nbtrack.models.flavors.base import BoundedBuffer
from nbtrack.models.hints import TypeHints, checked, hints_of

_MODELS = "mlflow.pyfunc.model"


class PythonModel:
    """A model of one's own: a subclass says how it predicts.

    Examples
    --------
    >>> import nbtrack
    >>> class Half(nbtrack.pyfunc.PythonModel):
    ...     def predict(self, context, model_input, params=None):
    ...         return model_input / 2
    >>> Half().predict(None, 4)
    2.0
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load what the model needs; called once, when it is loaded.

        Parameters
        ----------
        context
            Where its artifacts are.
        """

    @abstractmethod
    def predict(
        self, context: PythonModelContext, model_input: Any, params: dict[str, Any] | None = None
    ) -> Any:
        """Return what the model predicts. A subclass may leave out `context` and `params`."""

    @property
    def predict_type_hints(self) -> TypeHints:
        """Hints of what `predict` takes and gives."""
        return hints_of(self.predict)


class FunctionModel(PythonModel):
    """A function as a model: it takes the input, and gives what it predicts."""

    def __init__(self, func: Callable[[Any], Any], signature: Any = None) -> None:
        self.func = func
        self.signature = signature

    @property
    def predict_type_hints(self) -> TypeHints:
        """Hints of what the function takes and gives."""
        return hints_of(self.func)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:  # type: ignore[override]
        """Return what the function gives."""
        return self.func(model_input)


@dataclass(frozen=True)
class PythonModelContext:
    """What a model finds where it is loaded.

    Parameters
    ----------
    artifacts
        Paths by the names that they were saved under.
    model_config
        Settings that were saved with it, or given when it was loaded.
    """

    artifacts: Mapping[str, str]
    model_config: Mapping[str, Any] | None = None


class CustomPredictor:
    """A custom model as ``pyfunc`` predicts with it."""

    def __init__(self, model: Any, context: PythonModelContext) -> None:
        self.python_model = model
        self.context = context
        self._parameters = inspect.signature(model.predict).parameters

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the model predicts for data that its type hint, if it has one, accepts.

        Raises
        ------
        InvalidParameterError
            The data is something else.
        """
        given: dict[str, Any] = {}
        if "params" in self._parameters:
            given["params"] = params
        elif params:
            warnings.warn(
                f"The model's predict has no argument params: left out: {', '.join(params)}.",
                stacklevel=3,
            )
        data = checked(data, self.python_model.predict_type_hints.input)
        if takes_context(self.python_model.predict):
            return self.python_model.predict(self.context, data, **given)
        return self.python_model.predict(data, **given)


def takes_context(predict: Callable[..., Any]) -> bool:
    """Whether `predict` has an argument for the context before the input."""
    names = inspect.signature(predict).parameters
    others = [name for name in names if name not in {"self", "params"}]
    return "context" in names or len(others) == 2  # noqa: PLR2004 - context and input


# -- pickles


class _Module:
    """Stands for a module of MLflow in a pickle."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        from cloudpickle.cloudpickle import subimport

        return subimport, (self.name,)


_OURS = {PythonModel: "PythonModel", FunctionModel: "_FunctionPythonModel"}
_OURS_BY_CLASS: dict[Any, str] = {**_OURS, PythonModelContext: "PythonModelContext"}


def dumped(model: PythonModel, max_bytes: int) -> bytes:
    """Return a pickle of a custom model that loads where MLflow is, with or without nbtrack.

    A class that was defined in the notebook goes along. One of a module goes by its name: the
    module is needed where it is loaded, and so is what that imports.

    Raises
    ------
    ModelTooLargeError
        It takes more than `max_bytes`.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            name = _OURS_BY_CLASS.get(obj) if isinstance(obj, type) else None
            if name is not None:
                return getattr, (_Module(_MODELS), name)
            return super().reducer_override(obj)

    buffer = BoundedBuffer(max_bytes)
    Pickler(buffer).dump(model)
    return buffer.getvalue()


def loaded(file: BinaryIO) -> Any:
    """Return the custom model of a pickle; MLflow's classes are ours.

    The caller has made sure that the pickle can be trusted.

    Raises
    ------
    MissingPackageError
        It needs more of MLflow than the base class of a custom model.
    """
    import pickle

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module.partition(".")[0] == "mlflow":
                return _stand_in(module, name)
            if (module, name) == ("cloudpickle.cloudpickle", "subimport"):
                return _subimport
            return super().find_class(module, name)

    return Unpickler(file).load()


def _subimport(name: str) -> Any:
    if name.partition(".")[0] != "mlflow":
        return importlib.import_module(name)
    names = [attribute for module, attribute in _stand_ins() if module == name]
    module = types.ModuleType(name)
    for attribute in names:
        setattr(module, attribute, _stand_ins()[name, attribute])
    return module


def _stand_in(module: str, name: str) -> Any:
    found = _stand_ins().get((module, name))
    if found is None:
        raise MissingPackageError(
            f"The model needs {module}.{name} of mlflow, which nbtrack has not.",
            hint="Load it with MLflow: pip install mlflow",
        )
    return found


def _stand_ins() -> Mapping[tuple[str, str], Any]:
    """Return ours for what is in the pickles that MLflow writes of custom models."""
    checks = "mlflow.pyfunc.utils.data_validation"
    return {
        **{(_MODELS, name): kind for kind, name in _OURS_BY_CLASS.items()},
        ("mlflow.pyfunc", "PythonModel"): PythonModel,
        ("mlflow.pyfunc", "PythonModelContext"): PythonModelContext,
        ("mlflow.models.signature", "_TypeHints"): _Hints,
        ("mlflow.exceptions", "MlflowException"): InvalidParameterError,
        (checks, "FuncInfo"): _FuncInfo,
        (checks, "_validate_model_input"): _unchecked,
    }


class _FuncInfo(NamedTuple):
    """What MLflow's wrapper of `predict` knows of it."""

    input_type_hint: Any
    input_param_name: str


class _Hints(types.SimpleNamespace):
    """MLflow's hints of a model: they are read from `predict` anew."""


def _unchecked(args: Any, kwargs: Any, *about: Any) -> tuple[Any, Any]:
    """Return the arguments: they were checked before, see `CustomPredictor`."""
    return args, kwargs


# -- models from code

_model_of_code: list[Any] = []


def set_model(model: Any) -> None:
    """Say, in a file that is logged as a model, which object of it is the model.

    Parameters
    ----------
    model
        A `PythonModel`, or a function of one argument.

    Raises
    ------
    InvalidParameterError
        It is something else.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.models.set_model(lambda model_input: model_input)
    """
    if not callable(model) and not callable(getattr(model, "predict", None)):
        raise InvalidParameterError(
            f"A {type(model).__name__} is no model.", hint="Give a PythonModel, or a function."
        )
    _model_of_code[:] = [model]


def run_code(path: Path) -> Any:
    """Return the model that a file of Python sets by `set_model`, of nbtrack or of MLflow.

    The caller has made sure that the file can be trusted: it is executed.

    Raises
    ------
    InvalidParameterError
        It sets none.
    """
    name = f"code_model_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidParameterError(f"{path} is no file of Python.")
    module = importlib.util.module_from_spec(spec)
    _model_of_code.clear()
    with _stand_in_modules():
        sys.modules[name] = module
        spec.loader.exec_module(module)
    if not _model_of_code:
        raise InvalidParameterError(
            f"{path} sets no model.", hint="Call nbtrack.models.set_model(...) at its end."
        )
    return as_python_model(_model_of_code.pop())


def as_python_model(given: Any) -> Any:
    """Return a function as a model; others as they are."""
    is_model = callable(getattr(given, "predict", None))
    return given if is_model else FunctionModel(given)


@contextmanager
def _stand_in_modules() -> Iterator[None]:
    """Let ``import mlflow`` work in a file that needs only what a custom model needs."""
    if importlib.util.find_spec("mlflow") is not None:
        yield
        return
    root, models, pyfunc = (
        types.ModuleType(n) for n in ("mlflow", "mlflow.models", "mlflow.pyfunc")
    )
    models.set_model = set_model  # type: ignore[attr-defined]
    pyfunc.PythonModel = PythonModel  # type: ignore[attr-defined]
    pyfunc.PythonModelContext = PythonModelContext  # type: ignore[attr-defined]
    model = types.ModuleType(_MODELS)
    model.PythonModel = PythonModel  # type: ignore[attr-defined]
    pyfunc.model = model  # type: ignore[attr-defined]
    root.models, root.pyfunc = models, pyfunc  # type: ignore[attr-defined]
    ours = {module.__name__: module for module in (root, models, pyfunc, model)}
    before = {name: sys.modules[name] for name in ours if name in sys.modules}
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del sys.modules[name]
        sys.modules.update(before)
