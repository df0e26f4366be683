"""An estimator that was fitted before it was tracked becomes a run."""

from __future__ import annotations

from typing import Any

from nbtrack.autologging.asking import predictions
from nbtrack.autologging.integration import TrackedRun, Tracker
from nbtrack.autologging.predictions import Origin
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.sklearn import search
from nbtrack.autologging.sklearn.calls import LIBRARY, estimator_tags
from nbtrack.autologging.sklearn.fits import log_learned, remember
from nbtrack.autologging.sklearn.params import chosen
from nbtrack.errors import InvalidParameterError, StoreError


def adopt(model: Any, tracker: Tracker, tags: dict[str, str]) -> TrackedRun | None:
    """Make a run of a fitted estimator; None for what is no estimator.

    Raises
    ------
    InvalidParameterError
        It is not fitted.
    StoreError
        No run could be begun.
    """
    if isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "get_params")):
        return None
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        raise InvalidParameterError(
            f"The {type(model).__name__} is not fitted, so there is nothing to make a run of.",
            hint="Call its fit: that is a run by itself.",
        ) from None
    recording = Recording(tracker, LIBRARY)
    recording.begin(type(model).__name__, estimator_tags(model) | tags)
    if recording.run is None:
        raise StoreError("No run could be begun: see the warning.")
    recording.finish(lambda run: _write(recording, run, model))
    return recording.run


def _write(recording: Recording, run: TrackedRun, model: Any) -> None:
    params = dict(model.get_params(deep=True))
    book = predictions.book(run)
    chapter = book.chapter(type(model).__name__)
    if recording.ours:
        recording.attempt("log the parameters", run.log_params, params, chosen(model, params))
    else:  # another fit may have logged there
        recording.attempt("log the parameters", run.log_params, chapter.params(params))
    log_learned(recording, chapter, model, {})
    if (found := search.within(model)) is not None:
        recording.attempt("log the results of the search", search.log, found, recording, chapter)
    recording.attempt("remember the model", remember, model, Origin(book, None))
    recording.log_model(model, "sklearn")
