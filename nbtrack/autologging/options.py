"""What is logged of each library: the choices of ``autolog``, and which of them counts now.

The call for one library goes before the call for all, whichever came later, as in MLflow. The
settings ``log_models`` and ``log_datasets`` have the last word: what they turn off stays off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.settings import settings


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of ``autolog``, by MLflow's names and meaning.

    Parameters
    ----------
    log_input_examples
        Keep the first rows of the data with the model.
    log_model_signatures
        Keep the schema of what the model takes and gives with the model.
    log_models
        Keep the fitted model.
    log_datasets
        Keep name, shape, schema and fingerprint of the data.
    disable
        Log nothing.
    exclusive
        Log nothing into a run of the user's own ``start_run``: a fit inside gets its own run.
    silent
        Show no warning and no notice.
    log_training_metrics
        Score the model on the data that it was fitted with.
    log_post_training_metrics
        Log what ``score`` and metric functions give after the fit.
    log_every_n_steps
        Of a loop's steps, log each n-th.
    max_tuning_runs
        Of a search's candidates, the best so many become child runs; None: all.
    registered_model_name
        Every logged model becomes the next version of this registered model.
    extra_tags
        Tags of every run that is begun.

    Examples
    --------
    >>> from nbtrack.autologging.options import Options
    >>> Options(max_tuning_runs=None).log_models
    True
    >>> Options(log_every_n_steps=0)
    Traceback (most recent call last):
    ...
    nbtrack.errors.InvalidParameterError: log_every_n_steps cannot be 0; use a whole number from 1.
    """

    log_input_examples: bool = False
    log_model_signatures: bool = True
    log_models: bool = True
    log_datasets: bool = True
    disable: bool = False
    exclusive: bool = False
    silent: bool = False
    log_training_metrics: bool = True
    log_post_training_metrics: bool = True
    log_every_n_steps: int = 1
    max_tuning_runs: int | None = 5
    registered_model_name: str | None = None
    extra_tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in fields(self):
            value = getattr(self, row.name)
            if isinstance(row.default, bool) and not isinstance(value, bool):
                raise _refused(row.name, value, "True or False")
        _check_count("log_every_n_steps", self.log_every_n_steps, 1)
        if self.max_tuning_runs is not None:
            _check_count("max_tuning_runs", self.max_tuning_runs, 0, ", or None for all")
        if self.registered_model_name is not None:
            if not isinstance(self.registered_model_name, str):
                raise _refused("registered_model_name", self.registered_model_name, "a text")
            from nbtrack.registry.base import check_name

            check_name(self.registered_model_name)
        check_tags(self.extra_tags)


def check_tags(tags: object) -> None:
    """Refuse what cannot be `extra_tags`."""
    if not isinstance(tags, Mapping):
        raise InvalidParameterError(
            f"extra_tags cannot be {tags!r}; use a dict of tags.",
            hint="For example: extra_tags={'team': 'blue'}.",
        )


def _check_count(name: str, value: Any, least: int, besides: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _refused(name, value, f"a whole number from {least}{besides}")


def _refused(name: str, value: Any, accepted: str) -> InvalidParameterError:
    return InvalidParameterError(f"{name} cannot be {value!r}; use {accepted}.")


_DEFAULT = Options()
_chosen: dict[str, Options] = {}
_EVERYWHERE = ""


def choose(choice: Options, library: str = _EVERYWHERE) -> None:
    """Let a choice count for a library, or for all that have no choice of their own."""
    _chosen[library] = choice


def chosen(library: str) -> Options | None:
    """Return what was chosen for a library by itself, or None."""
    return _chosen.get(library)


def is_silent(library: str) -> bool:
    """Return whether nothing is to be said of a library; cheaper than to ask for all options."""
    return _without_settings(library).silent


def _without_settings(library: str) -> Options:
    return _chosen.get(library) or _chosen.get(_EVERYWHERE) or _DEFAULT


def forget() -> None:
    """Let the defaults count again, everywhere."""
    _chosen.clear()


def options(library: str) -> Options:
    """Return what counts now for a library. It is cheap enough to be asked in every fit.

    Examples
    --------
    >>> from nbtrack.autologging.options import options
    >>> options("sklearn").max_tuning_runs
    5
    """
    found = _without_settings(library)
    models = found.log_models and settings.log_models
    datasets = found.log_datasets and settings.log_datasets
    if models is found.log_models and datasets is found.log_datasets:
        return found
    return replace(found, log_models=models, log_datasets=datasets)
