"""What a card shows of its runs: HTML for the notebook, lines for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nbtrack import htmlview
from nbtrack.types import CANDIDATE_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtrack.tracking import ActiveRun

_ROWS, _METRICS, _PARAMS = 12, 4, 4
_NOTICE = 300  # characters of a notice
_SHORT = 40  # characters of a param that fit a column
_HIDDEN_METRICS = {"fit_time_s"}  # it is in the column of durations


def card_html(runs: Sequence[ActiveRun]) -> str:
    """Return the card of some runs: the last of them as a table, and why the failed ones did.

    Candidates of a search are counted in its row: they are in the table of all runs.
    """
    candidates = Counter(run.parent_run_id for run in runs if CANDIDATE_TAG in run.tags)
    runs = [run for run in runs if CANDIDATE_TAG not in run.tags]
    shown = runs[-_ROWS:]
    metrics = _first({key: None for run in shown for key in run.metrics}, _METRICS)
    params = list(_telling_params(shown))[:_PARAMS]
    rows = [
        htmlview.Row(
            run.run_id,
            run.run_name,
            run.status,
            run.duration_ms,
            dict(run.metrics),
            dict(run.params),
            _note(run, candidates[run.run_id]),
        )
        for run in shown
    ]
    table = htmlview.runs_table(rows, metric_keys=metrics, param_keys=params)
    failed = "".join(_error(run) for run in shown if run.error)
    told = "".join(htmlview.message(line) for line in _notices(shown))
    return htmlview.panel(_title(len(runs)), table + failed + told, footer=_footer(runs, shown))


def _note(run: ActiveRun, candidates: int) -> str:
    what = run.tags.get("estimator_name", "")
    return f"{what} · {htmlview.format_count(candidates, 'candidate')}" if candidates else what


def _title(count: int) -> str:
    return f"nbtrack · {count} run{'s' if count > 1 else ''}"


def _footer(runs: Sequence[ActiveRun], shown: Sequence[ActiveRun]) -> str:
    parts = []
    if len(runs) > len(shown):
        states = [str(run.status).lower() for run in runs]
        counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
        parts.append(f"the last {len(shown)} of {len(runs)} runs ({counts})")
    if shown and not any(run.end_time is None for run in shown):
        parts.append("compare them all: %nbtrack compare")
    return " · ".join(parts)


def _telling_params(runs: Sequence[ActiveRun]) -> dict[str, None]:
    """Return the keys of the params that tell these runs apart, then of those that were chosen."""
    keys = dict.fromkeys(key for run in runs for key in run.params)
    # An estimator within an estimator has its params below its own key: these say it better.
    owners = {owner for key in keys for owner in _owners(key)}
    short = [
        key
        for key in keys
        if key not in owners and all(len(run.params.get(key, "")) <= _SHORT for run in runs)
    ]
    differing = [
        key for key in short if len({run.params[key] for run in runs if key in run.params}) > 1
    ]
    chosen = [key for key in short if any(key in run.highlights for run in runs)]
    return dict.fromkeys([*differing, *chosen])


def _owners(key: str) -> list[str]:
    parts = key.split("__")
    return ["__".join(parts[:n]) for n in range(1, len(parts))]


def _first(keys: dict[str, None], count: int) -> list[str]:
    return htmlview.telling_first(key for key in keys if key not in _HIDDEN_METRICS)[:count]


def _notices(runs: Sequence[ActiveRun]) -> list[str]:
    """Return what is to be told of some runs, each with the run's name."""
    notices = [
        f"{run.run_name}: {htmlview.clip(text, _NOTICE)}"
        for run in runs
        for key, text in sorted(run.tags.items())
        if key.startswith("nbtrack.notice.")
    ]
    if (more := len(notices) - _ROWS) > 0:
        notices[_ROWS:] = [f"and {htmlview.format_count(more, 'notice')} more"]
    return notices


def _error(run: ActiveRun) -> str:
    last = (run.error or "").strip().splitlines()[-1:]
    return htmlview.message(f"{run.run_name}: {htmlview.clip(last[0], 300) if last else ''}")


def card_text(runs: Sequence[ActiveRun]) -> str:
    """Return a line for each of the last runs."""
    lines = []
    runs = [run for run in runs if CANDIDATE_TAG not in run.tags]
    for run in runs[-_ROWS:]:
        metrics = ", ".join(
            f"{key}={htmlview.format_number(run.metrics[key])}"
            for key in _first(dict.fromkeys(run.metrics), _METRICS)
        )
        what = run.tags.get("estimator_name", "run")
        took = htmlview.format_duration(run.duration_ms)
        words = ["nbtrack:", run.run_name, f"({what})", str(run.status).lower(), took, metrics]
        lines.append(" ".join(word for word in words if word))
    return "\n".join([*lines, *(f"nbtrack: {line}" for line in _notices(runs[-_ROWS:]))])
