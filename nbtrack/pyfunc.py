"""Models of every flavor by one way to predict, and models of one's own code. MLflow's module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack._lazy import attach

if TYPE_CHECKING:
    from nbtrack.models import Model
    from nbtrack.models.custom import PythonModel, PythonModelContext
    from nbtrack.models.predicting import PyFuncModel

__all__ = [
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "load_model",
    "log_model",
    "save_model",
]


def log_model(  # noqa: PLR0917 - MLflow's signature
    artifact_path: str | None = None,
    code_paths: Sequence[str | Path] | None = None,
    python_model: PythonModel | Callable[[Any], Any] | str | Path | None = None,
    artifacts: Mapping[str, str | Path] | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: float | None = 300,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | None = None,
    streamable: bool | None = None,
    name: str | None = None,
) -> Model:
    """Keep a model of one's own with the active run, or with one that begins now.

    A class that was defined in a notebook or script goes along with the model. One of a module
    goes by its name: give the module in `code_paths`. MLflow loads the model without nbtrack, if
    the code itself does not import it.

    Parameters
    ----------
    artifact_path, name
        Two names of one thing: what the model is called in the run; default: ``model``.
    code_paths
        Files and folders that are on ``sys.path`` where it is loaded.
    python_model
        A `PythonModel`, a function of one argument, or the path of a file of Python that calls
        `nbtrack.models.set_model`. Hints such as ``list[str]`` for the input are its signature.
    artifacts
        Files and folders by name, which are in the model's context where it is loaded.
    registered_model_name
        It becomes the next version of this registered model.
    signature
        What it takes and gives.
    input_example
        An example of what it takes.
    await_registration_for
        Wait so many seconds at most until the version is there; None or 0: not at all.
    pip_requirements, extra_pip_requirements
        Packages that it needs, instead of what is found or in addition; or the path of a file.
    metadata
        What MLmodel is to say about it.
    model_config
        Settings, which are in the model's context where it is loaded.
    streamable
        Whether it has a `predict_stream`; default: looked up.

    Returns
    -------
    Model
        Its ``model_uri`` loads it.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or the model is larger than the setting ``max_model_mb``.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> def shout(model_input: list[str]) -> list[str]:
    ...     return [text.upper() for text in model_input]
    >>> with nbtrack.start_run():
    ...     info = nbtrack.pyfunc.log_model(python_model=shout, name="shout")
    >>> nbtrack.pyfunc.load_model(info.model_uri).predict(["hey"])
    ['HEY']
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    return flavor_api.log_model("pyfunc", given.pop("python_model"), given)


def save_model(  # noqa: PLR0917 - MLflow's signature
    path: str | Path,
    code_paths: Sequence[str | Path] | None = None,
    python_model: PythonModel | Callable[[Any], Any] | str | Path | None = None,
    artifacts: Mapping[str, str | Path] | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | None = None,
    streamable: bool | None = None,
) -> None:
    """Write a model of one's own into a directory; see `log_model`.

    Parameters
    ----------
    path
        The directory: it is made, or is empty.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or there is something already.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> folder = tempfile.mkdtemp() + "/model"
    >>> nbtrack.pyfunc.save_model(folder, python_model=lambda model_input: model_input)
    >>> nbtrack.pyfunc.load_model(folder).predict([1])
    [1]
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    flavor_api.save_model("pyfunc", given.pop("python_model"), given.pop("path"), given)


def load_model(
    model_uri: str,
    dst_path: str | Path | None = None,
    model_config: Mapping[str, Any] | None = None,
    *,
    trust: bool = False,
) -> PyFuncModel:
    """Return a model of whatever flavor that predicts as MLflow's does.

    Parameters
    ----------
    model_uri
        As of `nbtrack.load_model`.
    dst_path
        A folder that its files are copied to; they stay there.
    model_config
        Settings for a model of one's own, over those that it was saved with.
    trust
        Load it although it was not saved by this user on this machine. Loading a model can run
        any code that its maker put in.

    Returns
    -------
    PyFuncModel
        With `predict` and `metadata`.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such model; the URI cannot be read.
    UntrustedModelError
        It is somebody else's, or was changed, and `trust` was not given.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from sklearn.dummy import DummyClassifier
    >>> folder = tempfile.mkdtemp() + "/guess"
    >>> nbtrack.sklearn.save_model(DummyClassifier().fit([[0]], [7]), folder)
    >>> nbtrack.pyfunc.load_model(folder).predict([[0]]).tolist()
    [7]
    """
    from nbtrack.models.predicting import PyFuncModel
    from nbtrack.tracking.fluent import default_client

    with default_client().model_directory(str(model_uri), dst_path) as directory:
        return PyFuncModel.load(
            directory, model_uri=str(model_uri), trust=trust, model_config=model_config
        )


__getattr__, _ = attach(
    __name__,
    {
        "PyFuncModel": "nbtrack.models.predicting",
        "PythonModel": "nbtrack.models.custom",
        "PythonModelContext": "nbtrack.models.custom",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
