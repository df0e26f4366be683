"""A model that was fitted before nbtrack was loaded becomes a run, labelled as such."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from nbtrack.autologging import integration, scope
from nbtrack.autologging.tracker import FluentTracker
from nbtrack.errors import InvalidParameterError

if TYPE_CHECKING:
    from nbtrack.tracking import ActiveRun

_NOTICE = "Made from an object that was fitted before: its data, duration and score are not known."


def adopt(model: Any) -> ActiveRun:
    """Make a run from a model that was fitted before nbtrack was loaded.

    It has the params, what the model has learned, and the model itself; the tag
    ``nbtrack.adopted`` says that nobody saw the fit. Metrics that are computed of it from now on
    land on the run.

    Parameters
    ----------
    model
        A fitted estimator of scikit-learn, or of a library that is made like it; a module of
        PyTorch, of which layers and state are kept.

    Returns
    -------
    ActiveRun
        The run; the active one, if there is one.

    Raises
    ------
    InvalidParameterError
        It is no model that nbtrack knows, or is not fitted.
    StoreError
        No run could be begun.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from sklearn.dummy import DummyClassifier
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> model = DummyClassifier().fit([[0]], [7])
    >>> run = nbtrack.adopt(model)
    >>> run.data.params["strategy"], run.data.tags["nbtrack.adopted"]
    ('prior', 'True')
    >>> nbtrack.load_model(f"runs:/{run.run_id}/model").predict([[0]]).tolist()
    [7]
    """
    tags = {"nbtrack.adopted": "True", "nbtrack.notice.adopted": _NOTICE}
    rows = [row for row in integration.TABLE if row.title]
    for row in rows:
        if row.package not in sys.modules:
            continue
        function = getattr(integration.implementation(row), "adopt", None)
        found = None
        if function is not None:
            found = scope.absorb(function, (model, FluentTracker(), tags), {})
        if found is not None:
            return cast("ActiveRun", found)
    kind = f"The class {model.__name__}" if isinstance(model, type) else f"A {type(model).__name__}"
    raise InvalidParameterError(
        f"{kind} is no model that can become a run.",
        hint=f"Give a fitted model of one of these: {', '.join(row.package for row in rows)}.",
    )
