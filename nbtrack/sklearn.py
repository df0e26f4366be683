"""scikit-learn, as MLflow's module of that name has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtrack.models import Model


def autolog(
    *,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    silent: bool = False,
    max_tuning_runs: int | None = 5,
    log_training_metrics: bool = True,
    log_post_training_metrics: bool = True,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, object] | None = None,
) -> None:
    """Log what scikit-learn does from now on, or switch it off; see `nbtrack.autolog`.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.sklearn.autolog(max_tuning_runs=None)
    >>> nbtrack.autolog(disable=True)
    """
    given = dict(locals())
    from nbtrack.autologging.api import autolog_library

    autolog_library("sklearn", given)


def log_model(  # noqa: PLR0917 - MLflow's signature
    sk_model: object,
    artifact_path: str | None = None,
    code_paths: Sequence[str | Path] | None = None,
    serialization_format: str = "cloudpickle",
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: float | None = 300,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
) -> Model:
    """Keep an estimator with the active run, or with one that begins now.

    Parameters
    ----------
    sk_model
        The estimator.
    artifact_path, name
        Two names of one thing: what the model is called in the run; default: ``model``.
    code_paths
        Files and folders that are on ``sys.path`` where it is loaded.
    serialization_format
        ``cloudpickle``, ``pickle``, or ``skops``: that is data, and loads without trust.
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
    pyfunc_predict_fn
        The method that predicts when it is loaded as ``pyfunc``.
    metadata
        What MLmodel is to say about it.
    skops_trusted_types
        More types that MLflow may load from a skops file; loading them here takes trust.

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
    >>> from sklearn.dummy import DummyClassifier
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     info = nbtrack.sklearn.log_model(DummyClassifier().fit([[0]], [7]), name="guess")
    >>> nbtrack.sklearn.load_model(info.model_uri).predict([[0]]).tolist()
    [7]
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    return flavor_api.log_model("sklearn", given.pop("sk_model"), given)


def save_model(  # noqa: PLR0917 - MLflow's signature
    sk_model: object,
    path: str | Path,
    code_paths: Sequence[str | Path] | None = None,
    serialization_format: str = "cloudpickle",
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    pyfunc_predict_fn: str = "predict",
    metadata: Mapping[str, Any] | None = None,
    skops_trusted_types: Sequence[str] | None = None,
) -> None:
    """Write an estimator into a directory; see `log_model`.

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
    >>> from sklearn.dummy import DummyClassifier
    >>> folder = tempfile.mkdtemp() + "/guess"
    >>> nbtrack.sklearn.save_model(DummyClassifier().fit([[0]], [7]), folder)
    >>> nbtrack.load_model(folder).predict([[0]]).tolist()
    [7]
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    flavor_api.save_model("sklearn", given.pop("sk_model"), given.pop("path"), given)


def load_model(model_uri: str, dst_path: str | Path | None = None, *, trust: bool = False) -> Any:
    """Return an estimator as it was when it was logged or saved.

    Parameters
    ----------
    model_uri
        As of `nbtrack.load_model`.
    dst_path
        A folder that its files are copied to; they stay there.
    trust
        Load it although it was not saved by this user on this machine. Loading a pickle can run
        any code that its maker put in.

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
    >>> nbtrack.sklearn.load_model(folder).predict([[0]]).tolist()
    [7]
    """
    from nbtrack.tracking import flavor_api

    return flavor_api.load_model(model_uri, dst_path, trust=trust)
