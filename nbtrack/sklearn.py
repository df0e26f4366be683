"""scikit-learn, as MLflow's module of that name has it."""

from __future__ import annotations

from collections.abc import Mapping


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
