"""``autolog``: switching autologging on, with MLflow's parameters, for all libraries or for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nbtrack.autologging import integration
from nbtrack.autologging.options import Options, check_tags, choose, chosen, forget
from nbtrack.autologging.tracker import FluentTracker
from nbtrack.errors import InvalidParameterError


def autolog(
    *,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    silent: bool = False,
    log_training_metrics: bool = True,
    log_post_training_metrics: bool = True,
    log_every_n_steps: int = 1,
    max_tuning_runs: int | None = 5,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, object] | None = None,
    exclude_flavors: Iterable[str] | None = None,
) -> None:
    """Log what the supported libraries do from now on, imported already or not.

    In a notebook ``%load_ext nbtrack`` does the same, and shows cards and keeps cells besides. A
    library that was set up by itself, as by ``nbtrack.sklearn.autolog()``, keeps its own choices.

    Parameters
    ----------
    log_input_examples
        Keep the first rows of the data with the model.
    log_model_signatures
        Keep the schema of what the model takes and gives with the model.
    log_models
        Keep the fitted model, unless the setting of that name is off.
    log_datasets
        Keep name, shape, schema and fingerprint of the data, unless the setting of that name is
        off.
    disable
        Switch autologging off instead, everywhere: every class is put back as it was.
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
    exclude_flavors
        Libraries to leave alone, by nbtrack's names or MLflow's.

    Raises
    ------
    InvalidParameterError
        A value cannot be accepted; there is no integration of that name.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.autolog(log_models=False, extra_tags={"team": "blue"})
    >>> nbtrack.autolog(disable=True)
    """
    given = dict(locals())
    excluded = {row.name for row in integration.find(_names(given.pop("exclude_flavors")))}
    _switch(_options(given), excluded=excluded)


def autolog_library(library: str, given: Mapping[str, Any]) -> None:
    """Switch one library on or off by its own choices; they go before those of `autolog`.

    Parameters
    ----------
    given
        Parameters of `Options`.
    """
    (row,) = integration.find([library])
    _switch(_options(given), row.name)


def _options(given: Mapping[str, Any]) -> Options:
    from nbtrack.tracking.values import to_texts

    tags = {} if given.get("extra_tags") is None else given["extra_tags"]
    check_tags(tags)
    return Options(**{**given, "extra_tags": to_texts(tags)})


def _names(names: Any) -> list[str]:
    if names is None:
        return []
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidParameterError(
            f"exclude_flavors cannot be {names!r}; use a list of names.",
            hint=f"There are: {', '.join(row.name for row in integration.TABLE)}.",
        )
    return list(names)


def _switch(options: Options, library: str = "", excluded: Iterable[str] = ()) -> None:
    if options.disable:
        if library:
            choose(options, library)
            integration.disable(library)
        else:
            forget()
            integration.disable()
        return
    choose(options, library)
    if library:
        integration.enable(FluentTracker(), library)
        return
    off = {*excluded} | {row.name for row in integration.TABLE if is_disabled(row.name)}
    rows = [row for row in integration.TABLE if row.name not in off]
    for name in off:
        integration.disable(name)
    if rows:
        integration.enable(FluentTracker(), *(row.name for row in rows), loud=False)


def is_disabled(library: str) -> bool:
    """Return whether a library was switched off by its own ``autolog(disable=True)``."""
    own = chosen(library)
    return own is not None and own.disable
