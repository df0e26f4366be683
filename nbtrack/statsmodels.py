"""statsmodels, as MLflow's module of that name has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtrack.models import Model


def log_model(
    statsmodels_model: object,
    artifact_path: str | None = None,
    *,
    code_paths: Sequence[str | Path] | None = None,
    registered_model_name: str | None = None,
    remove_data: bool = False,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: float | None = 300,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Model:
    """Keep the results of a fit with the active run, or with one that begins now.

    Parameters
    ----------
    statsmodels_model
        What ``fit()`` returned.
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
    remove_data
        Leave out the data that it was fitted with. The results at hand keep theirs.
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
        statsmodels is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> from statsmodels.api import OLS
    >>> model = OLS([1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]]).fit()
    >>> with nbtrack.start_run():
    ...     info = nbtrack.statsmodels.log_model(model, name="line")
    >>> nbtrack.statsmodels.load_model(info.model_uri).params.round(3).tolist()
    [1.0]
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    return flavor_api.log_model("statsmodels", given.pop("statsmodels_model"), given)


def save_model(
    statsmodels_model: object,
    path: str | Path,
    *,
    code_paths: Sequence[str | Path] | None = None,
    remove_data: bool = False,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Iterable[str] | str | None = None,
    extra_pip_requirements: Iterable[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write the results of a fit into a directory; see `log_model`.

    Parameters
    ----------
    path
        The directory: it is made, or is empty.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used, or there is something already.
    MissingPackageError
        statsmodels is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from statsmodels.api import OLS
    >>> model = OLS([1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]]).fit()
    >>> folder = tempfile.mkdtemp() + "/line"
    >>> nbtrack.statsmodels.save_model(model, folder)
    >>> nbtrack.load_model(folder).params.round(3).tolist()
    [1.0]
    """
    given = dict(locals())
    from nbtrack.tracking import flavor_api

    flavor_api.save_model("statsmodels", given.pop("statsmodels_model"), given.pop("path"), given)


def load_model(model_uri: str, dst_path: str | Path | None = None, *, trust: bool = False) -> Any:
    """Return the results of a fit as it was when it was logged or saved.

    Parameters
    ----------
    model_uri
        As of `nbtrack.load_model`.
    dst_path
        A folder that its files are copied to; they stay there.
    trust
        Load it although it was not saved by this user on this machine, and loading it can run
        code that its maker put in: results
        are a pickle.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such model; the URI cannot be read.
    UntrustedModelError
        Loading it can run code, it is somebody else's, or was changed, and `trust` was not given.
    MissingPackageError
        statsmodels is not installed.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from statsmodels.api import OLS
    >>> model = OLS([1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]]).fit()
    >>> folder = tempfile.mkdtemp() + "/line"
    >>> nbtrack.statsmodels.save_model(model, folder)
    >>> nbtrack.statsmodels.load_model(folder).params.round(3).tolist()
    [1.0]
    """
    from nbtrack.tracking import flavor_api

    return flavor_api.load_model(model_uri, dst_path, trust=trust)
