"""The explicit client: everything about one database or server, with no hidden state."""

from __future__ import annotations

from nbtrack.tracking.client.experiments import Experiments
from nbtrack.tracking.client.exports import Exports
from nbtrack.tracking.client.imports import Imports
from nbtrack.tracking.client.logging import Logging
from nbtrack.tracking.client.maintenance import Maintenance
from nbtrack.tracking.client.models import Models
from nbtrack.tracking.client.runs import Runs

__all__ = ["Client", "MlflowClient"]


class Client(Experiments, Runs, Logging, Models, Exports, Imports, Maintenance):
    """Experiments, runs and models of one database, or tracking server, by MLflow's names.

    Clients of the same file share one writer. Runs may be named, wherever one is asked for, by
    their id, by the beginning of it (4 characters or more), or by their name.

    Parameters
    ----------
    tracking_uri
        A path, ``sqlite:///path`` or ``http(s)://server``; default: what
        `nbtrack.set_tracking_uri` chose, then the setting ``db``, then the nearest ``nbtrack.db``
        from the working directory upwards.
    registry_uri
        The same place, if it is given: registered models are where the runs are.

    Raises
    ------
    InvalidParameterError
        The URI is none that nbtrack can use.

    Examples
    --------
    >>> import tempfile
    >>> client = Client(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with client.start_run("first") as run:
    ...     run.log_metric("accuracy", 0.9)
    >>> client.get_run("first").data.metrics
    {'accuracy': 0.9}
    """


MlflowClient = Client
"""The same, by MLflow's name for it."""
