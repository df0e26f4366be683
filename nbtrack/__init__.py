"""nbtrack: the notebook is the experiment tracker.

``%load_ext nbtrack``, and from then on every ``fit`` becomes a run: its params, metrics, model,
the data it saw and the cell that made it, all in one SQLite file. By hand it is used as MLflow is:
a script needs only another import, ``import nbtrack as mlflow``.

This module holds no state and imports nothing heavy: each public name comes from its module when
it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbtrack._lazy import attach
from nbtrack._version import __version__ as __version__

if TYPE_CHECKING:
    from nbtrack.autologging.adopt import (
        adopt,
    )
    from nbtrack.autologging.api import (
        autolog,
    )
    from nbtrack.autologging.torch.watch import (
        watch,
    )
    from nbtrack.errors import (
        NbtrackError,
    )
    from nbtrack.evaluation import (
        evaluate,
    )
    from nbtrack.ipython.shell import (
        load_ipython_extension,
        unload_ipython_extension,
    )
    from nbtrack.media import (
        Image,
    )
    from nbtrack.report import (
        write_report,
    )
    from nbtrack.tracking.client import (
        Client,
        MlflowClient,
    )
    from nbtrack.tracking.fluent import (
        active_run,
        end_run,
        last_active_run,
        start_run,
    )
    from nbtrack.tracking.fluent_experiments import (
        create_experiment,
        delete_experiment,
        delete_experiment_tag,
        get_experiment,
        get_experiment_by_name,
        search_experiments,
        set_experiment,
        set_experiment_tag,
        set_experiment_tags,
    )
    from nbtrack.tracking.fluent_files import (
        get_artifact_uri,
        load_table,
        log_artifact,
        log_artifacts,
        log_dict,
        log_figure,
        log_image,
        log_table,
        log_text,
    )
    from nbtrack.tracking.fluent_log import (
        delete_tag,
        log_input,
        log_inputs,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        set_tag,
        set_tags,
    )
    from nbtrack.tracking.fluent_models import (
        load_model,
        register_model,
    )
    from nbtrack.tracking.fluent_search import (
        delete_run,
        get_parent_run,
        get_run,
        runs,
        search_runs,
        sql,
    )
    from nbtrack.tracking.fluent_system import (
        disable_system_metrics_logging,
        enable_system_metrics_logging,
        flush,
        get_tracking_uri,
        is_tracking_uri_set,
        set_system_metrics_node_id,
        set_system_metrics_samples_before_logging,
        set_system_metrics_sampling_interval,
        set_tracking_uri,
    )
    from nbtrack.tracking.run import (
        ActiveRun,
    )
    from nbtrack.widgets import (
        compare,
    )

_NAMES = {
    "ActiveRun": ".tracking.run",
    "Client": ".tracking.client",
    "Image": ".media",
    "MlflowClient": ".tracking.client",
    "NbtrackError": ".errors",
    "active_run": ".tracking.fluent",
    "adopt": ".autologging.adopt",
    "autolog": ".autologging.api",
    "compare": ".widgets",
    "create_experiment": ".tracking.fluent_experiments",
    "delete_experiment": ".tracking.fluent_experiments",
    "delete_experiment_tag": ".tracking.fluent_experiments",
    "delete_run": ".tracking.fluent_search",
    "delete_tag": ".tracking.fluent_log",
    "disable_system_metrics_logging": ".tracking.fluent_system",
    "enable_system_metrics_logging": ".tracking.fluent_system",
    "end_run": ".tracking.fluent",
    "evaluate": ".evaluation",
    "flush": ".tracking.fluent_system",
    "get_artifact_uri": ".tracking.fluent_files",
    "get_experiment": ".tracking.fluent_experiments",
    "get_experiment_by_name": ".tracking.fluent_experiments",
    "get_parent_run": ".tracking.fluent_search",
    "get_run": ".tracking.fluent_search",
    "get_tracking_uri": ".tracking.fluent_system",
    "is_tracking_uri_set": ".tracking.fluent_system",
    "last_active_run": ".tracking.fluent",
    "load_ipython_extension": ".ipython.shell",
    "load_model": ".tracking.fluent_models",
    "load_table": ".tracking.fluent_files",
    "log_artifact": ".tracking.fluent_files",
    "log_artifacts": ".tracking.fluent_files",
    "log_dict": ".tracking.fluent_files",
    "log_figure": ".tracking.fluent_files",
    "log_image": ".tracking.fluent_files",
    "log_input": ".tracking.fluent_log",
    "log_inputs": ".tracking.fluent_log",
    "log_metric": ".tracking.fluent_log",
    "log_metrics": ".tracking.fluent_log",
    "log_param": ".tracking.fluent_log",
    "log_params": ".tracking.fluent_log",
    "log_table": ".tracking.fluent_files",
    "log_text": ".tracking.fluent_files",
    "register_model": ".tracking.fluent_models",
    "runs": ".tracking.fluent_search",
    "search_experiments": ".tracking.fluent_experiments",
    "search_runs": ".tracking.fluent_search",
    "set_experiment": ".tracking.fluent_experiments",
    "set_experiment_tag": ".tracking.fluent_experiments",
    "set_experiment_tags": ".tracking.fluent_experiments",
    "set_system_metrics_node_id": ".tracking.fluent_system",
    "set_system_metrics_samples_before_logging": ".tracking.fluent_system",
    "set_system_metrics_sampling_interval": ".tracking.fluent_system",
    "set_tag": ".tracking.fluent_log",
    "set_tags": ".tracking.fluent_log",
    "set_tracking_uri": ".tracking.fluent_system",
    "sql": ".tracking.fluent_search",
    "start_run": ".tracking.fluent",
    "unload_ipython_extension": ".ipython.shell",
    "watch": ".autologging.torch.watch",
    "write_report": ".report",
}
# MLflow's modules that are used by their names: nbtrack.artifacts.load_text(...).
_MODULES = {
    "artifacts",
    "catboost",
    "data",
    "entities",
    "exceptions",
    "lightgbm",
    "models",
    "onnx",
    "pyfunc",
    "pytorch",
    "sklearn",
    "statsmodels",
    "xgboost",
}

__all__ = [
    "ActiveRun",
    "Client",
    "Image",
    "MlflowClient",
    "NbtrackError",
    "active_run",
    "adopt",
    "autolog",
    "compare",
    "create_experiment",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_run",
    "delete_tag",
    "disable_system_metrics_logging",
    "enable_system_metrics_logging",
    "end_run",
    "evaluate",
    "flush",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_parent_run",
    "get_run",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "last_active_run",
    "load_ipython_extension",
    "load_model",
    "load_table",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "register_model",
    "runs",
    "search_experiments",
    "search_runs",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_system_metrics_node_id",
    "set_system_metrics_samples_before_logging",
    "set_system_metrics_sampling_interval",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "sql",
    "start_run",
    "unload_ipython_extension",
    "watch",
    "write_report",
]

_named, _names = attach(__name__, _NAMES)


def __getattr__(name: str) -> Any:
    return import_module(f"{__name__}.{name}") if name in _MODULES else _named(name)


def __dir__() -> list[str]:
    return sorted([*_names(), *_MODULES])
