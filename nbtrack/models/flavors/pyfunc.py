"""Models of the user's own code: a pickle of a `PythonModel` or a function, or a file of Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.custom import (
    CustomPredictor,
    PythonModel,
    PythonModelContext,
    as_python_model,
    dumped,
    loaded,
    run_code,
)
from nbtrack.models.flavors.base import (
    ModelTooLargeError,
    Predictor,
    Snapshot,
    class_name,
    file_of,
    unpickled,
)
from nbtrack.models.hints import TypeHints, schema_of_hint
from nbtrack.models.schema import AnyType, ColSpec, Schema
from nbtrack.models.signature import ModelSignature

NAMES = ("python_function",)
LOADERS = (
    "mlflow.pyfunc.model",
    "mlflow.pyfunc.loaders.code_model",
    "mlflow.pyfunc.loaders.python_model",
)
DATA = "python_model.pkl"
ARTIFACTS = "artifacts"


def is_model(model: object) -> bool:
    """Whether it is a `PythonModel`; a function is one only where it is given as such."""
    return isinstance(model, PythonModel)


def snapshot(
    model: object,
    *,
    max_bytes: int,
    artifacts: Mapping[str, str | Path] | None = None,
    model_config: Mapping[str, Any] | None = None,
    streamable: bool | None = None,
) -> Snapshot:
    """Return the pickle of a model, or the file of Python that has it, with its artifacts.

    Parameters
    ----------
    model
        A `PythonModel`, a function of one argument, or the path of a file that calls `set_model`.
    artifacts
        Files and folders by name, as the model finds them in its context.
    model_config
        Settings, as the model finds them in its context.
    streamable
        Whether the model has a `predict_stream`; default: looked up.

    Raises
    ------
    ModelTooLargeError, InvalidParameterError
        It takes too many bytes; it is none of these; an artifact is not there.
    """
    files: dict[str, bytes] = {}
    pyfunc: dict[str, Any] = {}
    signature = None
    if isinstance(model, str | Path):
        path = Path(model)
        if not path.is_file() or path.suffix != ".py":
            raise InvalidParameterError(
                f"There is no file of Python {str(path)!r}.", hint="Give the path of a .py file."
            )
        files[path.name] = path.read_bytes()
        pyfunc |= {"loader_module": LOADERS[1], "model_code_path": path.name}
        kind = path.name
    else:
        if not callable(model) and not isinstance(model, PythonModel):
            raise InvalidParameterError(
                f"A {type(model).__name__} is no python_model.",
                hint="Give a PythonModel, a function, or the path of a .py file.",
            )
        import cloudpickle

        kind = class_name(model)
        python_model = as_python_model(model)
        files[DATA] = dumped(python_model, max_bytes)
        signature = _by_hints(python_model.predict_type_hints)
        pyfunc |= {
            "loader_module": LOADERS[0],
            "python_model": DATA,
            "cloudpickle_version": cloudpickle.__version__,
        }
        if streamable is None:
            streamable = hasattr(type(python_model), "predict_stream")
    pyfunc["streamable"] = bool(streamable)
    if artifacts:
        kept, pyfunc["artifacts"] = _artifacts(artifacts)
        files |= kept
    if model_config is not None:
        pyfunc["config"] = dict(model_config)
    if sum(map(len, files.values())) > max_bytes:
        raise ModelTooLargeError(
            f"The model takes more than {max_bytes / 2**20:g} MB.",
            hint="Raise the limit: %config NBTrack.max_model_mb = ...",
        )
    requirements = [f"cloudpickle=={metadata.version('cloudpickle')}"]
    if b"nbtrack" in next(iter(files.values())):  # its code imports it, or is in a module that does
        requirements.append("nbtrack")
    found = Snapshot(NAMES[0], kind, files, {}, pyfunc, tuple(requirements))
    return found if signature is None else replace(found, **signature)


def _by_hints(hints: TypeHints) -> dict[str, Any] | None:
    """Return the signature that type hints say, and that they do."""
    inputs = schema_of_hint(hints.input)
    if inputs is None:
        return None
    outputs = schema_of_hint(hints.output) or Schema([ColSpec(AnyType())])
    told = ModelSignature(inputs, outputs).to_dict()
    return {"signature": told, "facts": {"is_signature_from_type_hint": True}}


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return that the model is a pickle, or code."""
    return "a file of Python code" if "model_code_path" in native else "a pickle"


def load(directory: Path, native: Mapping[str, Any]) -> object:
    """Return the `PythonModel`, whose `load_context` was called.

    Raises
    ------
    NotFoundError, InvalidParameterError, MissingPackageError
        A file is not there, is damaged, or needs a package that is not.
    """
    return _loaded(directory, native).python_model


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts.

    Raises
    ------
    NotFoundError, InvalidParameterError, MissingPackageError
        As of `load`.
    """
    return _loaded(directory, pyfunc or native)


def _loaded(directory: Path, pyfunc: Mapping[str, Any]) -> CustomPredictor:
    if (code := pyfunc.get("model_code_path")) is not None:
        # MLflow writes the path where the file once was: only its name counts.
        model = run_code(file_of(directory, PurePosixPath(str(code)).name))
    else:
        model = unpickled(file_of(directory, pyfunc.get("python_model")), load=loaded)
    entries = pyfunc.get("artifacts")
    found = {
        str(name): str(file_of(directory, entry.get("path")))
        for name, entry in (entries if isinstance(entries, dict) else {}).items()
        if isinstance(entry, dict)
    }
    config = pyfunc.get("config")
    context = PythonModelContext(found, config if isinstance(config, dict) else None)
    model.load_context(context=context)
    return CustomPredictor(model, context)


def _artifacts(
    given: Mapping[str, str | Path],
) -> tuple[dict[str, bytes], dict[str, dict[str, str]]]:
    files: dict[str, bytes] = {}
    entries = {}
    taken: set[str] = set()
    for name, source in given.items():
        path = Path(str(source).removeprefix("file://"))
        if not path.exists():
            raise InvalidParameterError(
                f"There is no file or folder {str(source)!r} for the artifact {name!r}."
            )
        place = f"{ARTIFACTS}/{path.resolve().name}"
        if place in taken:  # two files of one name
            place = f"{ARTIFACTS}/{name}/{path.resolve().name}"
        taken.add(place)
        entries[str(name)] = {"path": place, "uri": str(source)}
        inside = [path] if path.is_file() else [p for p in sorted(path.rglob("*")) if p.is_file()]
        for file in inside:
            below = "" if path.is_file() else "/" + file.relative_to(path).as_posix()
            files[place + below] = file.read_bytes()
    return files, entries
