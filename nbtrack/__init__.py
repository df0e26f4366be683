"""nbtrack: the notebook is the experiment tracker.

``%load_ext nbtrack``, and from then on every ``fit`` becomes a run: its params, metrics, model,
the data it saw and the cell that made it, all in one SQLite file.

This module holds no state and imports nothing heavy: each public name comes from its module when
it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack._lazy import attach

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.ipython.shell import load_ipython_extension as load_ipython_extension

__version__ = "0.1.0"

_NAMES = {
    "Client": ".tracking.client",
    "NbtrackError": ".errors",
    "active_run": ".tracking.fluent",
    "compare": ".widgets",
    "end_run": ".tracking.fluent",
    "flush": ".tracking.fluent",
    "get_run": ".tracking.fluent",
    "get_tracking_uri": ".tracking.fluent",
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
    "write_report": ".report",
}
