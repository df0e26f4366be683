"""PyTorch, as MLflow's module of that name has it."""

from __future__ import annotations

from collections.abc import Mapping


def autolog(
    *,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    silent: bool = False,
    log_every_n_steps: int = 1,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, object] | None = None,
) -> None:
    """Log what plain loops of PyTorch do from now on, or switch it off; see `nbtrack.autolog`.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.pytorch.autolog(log_every_n_steps=10)
    >>> nbtrack.autolog(disable=True)
    """
    given = dict(locals())
    from nbtrack.autologging.api import autolog_library

    autolog_library("torch", given)
