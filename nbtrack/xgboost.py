"""XGBoost, as MLflow's module of that name has it."""

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
    log_post_training_metrics: bool = True,
    log_every_n_steps: int = 1,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, object] | None = None,
) -> None:
    """Log what XGBoost does from now on, or switch it off; see `nbtrack.autolog`.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.xgboost.autolog(log_every_n_steps=10)
    >>> nbtrack.autolog(disable=True)
    """
    given = dict(locals())
    from nbtrack.autologging.api import autolog_library

    autolog_library("xgboost", given)


def log_model(
    xgb_model: object,
    artifact_path: str | None = None,
    *,
    code_paths: Sequence[str | Path] | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: float | None = 300,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    model_format: str = "ubj",
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Model:
    """Keep a Booster or an estimator with the active run, or with one that begins now.

    Parameters
    ----------
    xgb_model
        A Booster, or an estimator such as XGBClassifier.
    artifact_path, name
        Two names of one thing: what the model is called in the run; default: ``model``.
    code_paths
        Files and folders that are on ``sys.path`` where it is loaded.
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
    model_format
        ``ubj`` or ``json``.
    metadata
        What MLmodel is to say about it.

    Returns
    -------
    Model
        Its ``model_uri`` loads it.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or the model is larger than the setting ``max_model_mb``.
    MissingPackageError
        XGBoost is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> from xgboost import XGBRegressor
    >>> model = XGBRegressor(n_estimators=2).fit([[0], [1]], [7, 7])
    >>> with nbtrack.start_run():
    ...     info = nbtrack.xgboost.log_model(model, name="trees")
    >>> nbtrack.xgboost.load_model(info.model_uri).predict([[0]]).tolist()
    [7.0]
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    return flavor_api.log_model("xgboost", given.pop("xgb_model"), given)


def save_model(
    xgb_model: object,
    path: str | Path,
    *,
    code_paths: Sequence[str | Path] | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    model_format: str = "ubj",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a Booster or an estimator into a directory; see `log_model`.

    Parameters
    ----------
    path
        The directory: it is made, or is empty.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or there is something already.
    MissingPackageError
        XGBoost is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from xgboost import XGBRegressor
    >>> model = XGBRegressor(n_estimators=2).fit([[0], [1]], [7, 7])
    >>> folder = tempfile.mkdtemp() + "/trees"
    >>> nbtrack.xgboost.save_model(model, folder)
    >>> nbtrack.load_model(folder).predict([[0]]).tolist()
    [7.0]
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    flavor_api.save_model("xgboost", given.pop("xgb_model"), given.pop("path"), given)


def load_model(model_uri: str, dst_path: str | Path | None = None, *, trust: bool = False) -> Any:
    """Return a Booster or an estimator as it was when it was logged or saved.

    Parameters
    ----------
    model_uri
        As of `nbtrack.load_model`.
    dst_path
        A folder that its files are copied to; they stay there.
    trust
        Load it although it was not saved by this user on this machine, and loading it can run
        code that its maker put in: a class that
        is not one of XGBoost.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such model; the URI cannot be read.
    UntrustedModelError
        Loading it can run code, it is somebody else's, or was changed, and `trust` was not given.
    MissingPackageError
        XGBoost is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from xgboost import XGBRegressor
    >>> model = XGBRegressor(n_estimators=2).fit([[0], [1]], [7, 7])
    >>> folder = tempfile.mkdtemp() + "/trees"
    >>> nbtrack.xgboost.save_model(model, folder)
    >>> nbtrack.xgboost.load_model(folder).predict([[0]]).tolist()
    [7.0]
    """
    from nbtrack.tracking import flavor_api

    return flavor_api.load_model(model_uri, dst_path, trust=trust)
