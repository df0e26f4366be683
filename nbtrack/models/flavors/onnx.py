"""ONNX: a graph and its numbers, predicted with by ONNX Runtime. There is no code in it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.flavors.base import Predictor, Snapshot, class_name
from nbtrack.models.flavors.libraries import (
    check_size,
    data_of,
    descends,
    library,
    read,
    requirements,
    used,
    written,
)

NAMES = ("onnx",)
LOADERS = ("mlflow.onnx",)
DATA = "model.onnx"
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
OPTIONS = {
    "inter_op_num_threads",
    "intra_op_num_threads",
    "execution_mode",
    "graph_optimization_level",
    "extra_session_config",
}
_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}


def is_model(model: object) -> bool:
    """Whether it is a ModelProto."""
    return descends(model, "onnx", "ModelProto")


def snapshot(
    model: Any,
    *,
    max_bytes: int,
    onnx_execution_providers: Sequence[Any] | None = None,
    onnx_session_options: Mapping[str, Any] | None = None,
    save_as_external_data: bool = True,
) -> Snapshot:
    """Return the model as bytes; the one at hand is not changed.

    Parameters
    ----------
    onnx_execution_providers
        Where it may run, the best first; each a name, or a name and options.
    onnx_session_options
        How a session is made: some of `OPTIONS`.
    save_as_external_data
        Put large tensors into a file of their own.

    Raises
    ------
    ModelTooLargeError
        The files take more than `max_bytes`.
    InvalidParameterError
        It is no ModelProto, or an argument cannot be used.
    """
    if not is_model(model):
        raise InvalidParameterError(
            f"A {type(model).__name__} is no model of ONNX.",
            hint="Give an onnx.ModelProto, such as onnx.load(path) returns.",
        )
    options = dict(onnx_session_options or {})
    if unknown := sorted(options.keys() - OPTIONS):
        raise InvalidParameterError(
            f"The session option {unknown[0]!r} is not known.",
            hint=f"There are: {', '.join(sorted(OPTIONS))}.",
        )
    onnx, runtime = library("onnx"), library("onnxruntime")
    try:
        _session_options(runtime, options)
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidParameterError(f"No session has the options {options}: {error}.") from error
    check_size(model.ByteSize(), max_bytes)
    # Written with its tensors elsewhere a model loses them: it is done to a copy.
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    providers = onnx_execution_providers or PROVIDERS
    return Snapshot(
        flavor=NAMES[0],
        model_class=class_name(model),
        files=written(
            lambda path: onnx.save_model(
                copied,
                path,
                save_as_external_data=save_as_external_data,
                location=f"{DATA}.data",
            ),
            DATA,
            max_bytes,
        ),
        native={
            "onnx_version": onnx.__version__,
            "data": DATA,
            "providers": [list(p) if isinstance(p, tuple) else p for p in providers],
            "onnx_session_options": options or None,
            "code": None,
        },
        pyfunc={"loader_module": LOADERS[0], "data": DATA},
        requirements=requirements("onnx", "onnxruntime", "numpy", "pandas"),
    )


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return None, unless the session is set up by more than names and numbers.

    Some providers load a library whose path is in their options.
    """
    options = native.get("onnx_session_options")
    if isinstance(options, dict) and options.get("extra_session_config"):
        return "a model with a session's extra configuration"
    if not all(isinstance(provider, str) for provider in _providers(native)):
        return "a model with options of execution providers"
    return None


def load(directory: Path, native: Mapping[str, Any]) -> Any:
    """Return the ModelProto; the tensors of all its files are in it.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        onnx is not installed; the file is not there, is damaged, or names one elsewhere.
    """
    onnx = library("onnx")
    path = data_of(directory, native, DATA)

    def checked() -> Any:
        onnx.checker.check_model(str(path))
        return onnx.load(str(path))

    return read(checked, path)


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts: a session of ONNX Runtime.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        onnxruntime is not installed; the file is not there, or no session can be made of it.
    """
    runtime = library("onnxruntime")
    path = data_of(directory, native, DATA, pyfunc)
    there = runtime.get_available_providers()
    wanted = _providers(native)
    usable = [p for p in wanted if (p if isinstance(p, str) else p[0]) in there]
    if len(usable) < len(wanted) and tuple(wanted) != PROVIDERS:
        warnings.warn(
            f"nbtrack: of the execution providers {wanted} this onnxruntime has {usable}.",
            stacklevel=2,
        )

    def session() -> Any:
        options = _session_options(runtime, native.get("onnx_session_options"))
        return runtime.InferenceSession(str(path), options, providers=usable or [PROVIDERS[-1]])

    return _Predictor(read(session, path))


class _Predictor:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = {put.name: put.type for put in session.get_inputs()}
        self._outputs = [put.name for put in session.get_outputs()]

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        import numpy as np
        import pandas as pd

        used(params, set())
        feeds = self._feeds(data)
        for name, kind in self._inputs.items():
            # Numbers that came as JSON are doubles, where the model has floats.
            if kind == "tensor(float)" and getattr(feeds.get(name), "dtype", None) == np.float64:
                feeds[name] = feeds[name].astype(np.float32)
        given = dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))
        if not isinstance(data, pd.DataFrame):
            return given
        return pd.DataFrame({name: np.asarray(out).reshape(-1) for name, out in given.items()})

    def _feeds(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict):
            return dict(data)
        names = list(self._inputs)
        is_frame = hasattr(data, "columns")
        if is_frame and len(names) > 1:
            absent = [name for name in names if name not in data.columns]
            if not absent:
                return {name: data[name].to_numpy() for name in names}
            problem = f"there is no column {absent[0]!r}"
        elif not is_frame and not hasattr(data, "dtype"):
            problem = f"a {type(data).__name__} is no frame, no array and no dict"
        elif len(names) == 1:
            return {names[0]: data.to_numpy() if is_frame else data}
        else:
            problem = "one array cannot be all of them"
        raise InvalidParameterError(
            f"The model has the inputs {', '.join(names)}, and {problem}.",
            hint="Give a frame with such columns, or a dict of arrays by these names.",
        )


def _providers(native: Mapping[str, Any]) -> list[Any]:
    """Return providers as ONNX Runtime takes them, of an MLmodel that anybody may have written."""
    found = native.get("providers") or PROVIDERS
    if isinstance(found, str):
        return [found]
    given = [tuple(p) if isinstance(p, list) else p for p in found] if _is_list(found) else [found]
    for provider in given:
        if not isinstance(provider, str) and not (_is_list(provider) and provider):
            raise InvalidParameterError(
                f"{provider!r} is no execution provider.", hint="Give a name, or it and options."
            )
    return given


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _session_options(runtime: Any, options: Any) -> Any:
    made = runtime.SessionOptions()
    if not isinstance(options, dict):
        return made
    for name in ("inter_op_num_threads", "intra_op_num_threads"):
        if options.get(name):
            setattr(made, name, int(options[name]))
    if mode := _mode(options):
        made.execution_mode = getattr(runtime.ExecutionMode, mode)
    if level := options.get("graph_optimization_level"):
        made.graph_optimization_level = runtime.GraphOptimizationLevel(int(level))
    for name, value in (options.get("extra_session_config") or {}).items():
        made.add_session_config_entry(str(name), str(value))
    return made


def _mode(options: Mapping[str, Any]) -> str | None:
    mode = options.get("execution_mode")
    if mode is None:
        return None
    if str(mode).lower() not in _MODES:
        raise InvalidParameterError(
            f"There is no execution_mode {mode!r}.", hint=f"There are: {', '.join(_MODES)}."
        )
    return _MODES[str(mode).lower()]
