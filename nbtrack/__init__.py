"""nbtrack: the notebook is the experiment tracker.

``%load_ext nbtrack``, and from then on every ``fit`` becomes a run: its params, metrics, model,
the data it saw and the cell that made it, all in one SQLite file.

This module holds no state and imports nothing heavy: each public name comes from its module when
it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack._lazy import attach
from nbtrack._version import __version__ as __version__

if TYPE_CHECKING:
    from nbtrack.errors import NbtrackError
    from nbtrack.ipython.shell import load_ipython_extension, unload_ipython_extension
    from nbtrack.report import write_report
    from nbtrack.tracking.client import Client
    from nbtrack.tracking.fluent import (
        active_run,
        end_run,
        flush,
        get_run,
        get_tracking_uri,
        load_model,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        register_model,
        runs,
        search_runs,
        set_experiment,
        set_tag,
        set_tags,
        set_tracking_uri,
        start_run,
    )
    from nbtrack.widgets import compare

_NAMES = {
    "Client": ".tracking.client",
    "NbtrackError": ".errors",
    "active_run": ".tracking.fluent",
    "compare": ".widgets",
    "end_run": ".tracking.fluent",
    "flush": ".tracking.fluent",
    "get_run": ".tracking.fluent",
    "get_tracking_uri": ".tracking.fluent",
    "load_ipython_extension": ".ipython.shell",
    "load_model": ".tracking.fluent",
    "log_metric": ".tracking.fluent",
    "log_metrics": ".tracking.fluent",
    "log_param": ".tracking.fluent",
    "log_params": ".tracking.fluent",
    "register_model": ".tracking.fluent",
    "runs": ".tracking.fluent",
    "search_runs": ".tracking.fluent",
    "set_experiment": ".tracking.fluent",
    "set_tag": ".tracking.fluent",
    "set_tags": ".tracking.fluent",
    "set_tracking_uri": ".tracking.fluent",
    "start_run": ".tracking.fluent",
    "unload_ipython_extension": ".ipython.shell",
    "write_report": ".report",
}

__all__ = [
    "Client",
    "NbtrackError",
    "active_run",
    "compare",
    "end_run",
    "flush",
    "get_run",
    "get_tracking_uri",
    "load_ipython_extension",
    "load_model",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "register_model",
    "runs",
    "search_runs",
    "set_experiment",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "start_run",
    "unload_ipython_extension",
    "write_report",
]

__getattr__, __dir__ = attach(__name__, _NAMES)
