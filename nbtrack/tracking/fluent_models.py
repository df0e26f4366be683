"""The functions of ``nbtrack.*`` over models: register, load."""

from __future__ import annotations

from nbtrack.tracking.fluent import default_client
from nbtrack.types import ModelVersion


def register_model(model_uri: str, name: str) -> ModelVersion:
    """Make the next version of a registered model from a run's model.

    Parameters
    ----------
    model_uri
        ``runs:/<run>/model``, or just a run: its id, the beginning of one, or its name.
    name
        Name of the registered model; it is made if it is new.

    Raises
    ------
    InvalidParameterError, NotFoundError
        The name or the URI cannot be used; the run has no model.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from sklearn.dummy import DummyClassifier
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine") as run:
    ...     run.log_model(DummyClassifier().fit([[0]], [0]), "sklearn")
    >>> nbtrack.register_model("mine", "guesser").version
    1
    """
    return default_client().register_model(model_uri, name)


def load_model(model_uri: str, *, trust: bool = False) -> object:
    """Return a model as it was when it was logged.

    Parameters
    ----------
    model_uri
        ``models:/<name>/<version>``, ``models:/<name>/latest``, ``models:/<name>/<stage>``,
        ``models:/<name>@<alias>``, ``models:/m-<id>``, ``runs:/<run>/model``, or a directory with
        an MLmodel file: a path, ``file:`` or an address that fsspec reaches.
    trust
        Load it although it was not saved by this user on this machine. Loading a model can run
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
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine") as run:
    ...     run.log_model(DummyClassifier().fit([[0]], [7]), "sklearn")
    >>> nbtrack.load_model("runs:/mine/model").predict([[0]]).tolist()
    [7]
    """
    return default_client().load_model(model_uri, trust=trust)
