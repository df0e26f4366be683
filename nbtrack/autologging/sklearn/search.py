"""Searches for parameters: the best candidates become child runs, all of them one table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from nbtrack.autologging.book import Chapter
from nbtrack.autologging.integration import TrackedRun
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.sklearn.calls import LIBRARY, estimator_tags, is_scalar, state, steps_of
from nbtrack.autologging.sklearn.labels import labels
from nbtrack.autologging.sklearn.params import chosen
from nbtrack.types import CANDIDATE_TAG

_NAME = "mlflow.runName"
BEST_TAG = "nbtrack.best"
_MAX_ROWS = 2_000


def is_search(estimator: object) -> bool:
    """Whether `estimator` has tried candidates; others have ``cv_results_`` without params."""
    results = state(estimator).get("cv_results_")
    return isinstance(results, Mapping) and "params" in results


def within(estimator: object) -> Any:
    """Return the search that `estimator` is, or that is the last step of a pipeline; or None."""
    steps = steps_of(estimator)
    last = steps[-1] if steps else estimator
    return last if is_search(last) else None


def log(estimator: Any, recording: Recording, chapter: Chapter) -> None:
    """Log the results of a search that has been fitted."""
    found, results = state(estimator), estimator.cv_results_
    run = chapter.book.run
    best = found.get("best_params_") or {}
    run.log_params(chapter.params({f"best_{name}": value for name, value in best.items()}))
    score: Any = found.get("best_score_")
    if is_scalar(score):
        chapter.log_metrics({"best_cv_score": float(score)})
    order = _best_first(results, found.get("best_index_"))
    recording.attempt("log the table of candidates", _log_table, estimator, order, chapter)
    limit = recording.options.max_tuning_runs
    children = order if limit is None else order[:limit]
    recording.attempt("log the candidates", _log_children, estimator, children, recording, run)


def _best_first(results: Mapping[str, Any], best: object) -> list[int]:
    """Return the candidates' places, the best one first; of several ranks the first counts.

    What is best is for the search to say: of one that halves, it is in the last round.
    """
    ranks = next((v for key, v in results.items() if key.startswith("rank_test_")), None)
    places = range(len(results["params"]))
    order = list(places) if ranks is None else sorted(places, key=ranks.tolist().__getitem__)
    return sorted(order, key=lambda place: place != best)


def _log_table(estimator: Any, order: list[int], chapter: Chapter) -> None:
    from nbtrack.media import Plot

    results, total = estimator.cv_results_, len(order)
    rows = sorted(order[:_MAX_ROWS])
    columns = {}
    for key, values in results.items():
        if key != "params":
            cells = values.tolist() if hasattr(values, "tolist") else values
            columns[key] = [_cell(cells[row]) for row in rows]
    best = state(estimator).get("best_index_")
    meta = {"candidates": total, "best": None if best is None else int(best)}
    chapter.log_plot(Plot("cv_results", "search", {"candidate": rows, **columns}, meta))


def _cell(value: Any) -> Any:
    """Return a value of a table; None is for a param that only other candidates have."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _log_children(
    estimator: Any, rows: list[int], recording: Recording, parent: TrackedRun
) -> None:
    results, seed = estimator.cv_results_, estimator.estimator
    base = {
        # The text of an estimator takes a millisecond, and is the same in all of them.
        key: str(value) if hasattr(value, "get_params") else value
        for key, value in seed.get_params(deep=not hasattr(seed, "cv_results_")).items()
    }
    highlights = chosen(seed, seed.get_params(deep=False))
    best = state(estimator).get("best_index_")
    ordinary = estimator_tags(seed) | {CANDIDATE_TAG: "true"}
    tags = ordinary | {BEST_TAG: "true"}
    for row, name in zip(rows, labels(results, rows), strict=True):
        candidate = results["params"][row]
        child = Recording(recording.tracker, LIBRARY, parent=parent)
        child.begin(type(seed).__name__, (tags if row == best else ordinary) | {_NAME: name})
        if child.run is None:
            return  # it has been said why
        try:
            _write_child(child.run, base, candidate, [*highlights, *candidate])
            child.run.log_metrics(dict(_summary(results, row)))
            for key, scores in _splits(results, row):
                child.run.log_history(key, scores)
        finally:
            child.finish(lambda run: None)


def _write_child(
    run: TrackedRun,
    base: Mapping[str, Any],
    candidate: Mapping[str, Any],
    highlights: list[str],
) -> None:
    params = dict(base)
    for name, value in candidate.items():
        if hasattr(value, "get_params"):  # another step: it brings params of its own
            params = {k: v for k, v in params.items() if not k.startswith(f"{name}__")}
            params |= {f"{name}__{k}": v for k, v in value.get_params(deep=True).items()}
    run.log_params(params | dict(candidate), highlights)


def _summary(results: Mapping[str, Any], row: int) -> Iterator[tuple[str, float]]:
    for key, values in results.items():
        if not key.startswith(("param", "split")) and is_scalar(value := values[row]):
            yield key, float(value)


def _splits(results: Mapping[str, Any], row: int) -> Iterator[tuple[str, list[float]]]:
    """Yield the scores of the folds, by metric: ``split0_test_score`` is one of ``test_score``."""
    folds: dict[str, list[float]] = {}
    for key, values in results.items():
        if key.startswith("split"):
            _, _, name = key.partition("_")
            folds.setdefault(name, []).append(float(values[row]))
    for name, scores in folds.items():
        if not all(map(math.isnan, scores)):
            yield name, scores
