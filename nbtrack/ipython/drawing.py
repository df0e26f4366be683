"""What a card shows of its runs: HTML for the notebook, lines for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nbtrack import htmlview
from nbtrack.types import ADOPTED_TAG, CANDIDATE_TAG, NOTICE_TAGS, TWIN_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbtrack.tracking import ActiveRun

_ROWS, _METRICS, _PARAMS = 12, 4, 4
_COLUMNS = 7  # of metrics and params together
_NOTICE = 300  # characters of a notice or error
_SHORT = 40  # characters of a param that fit a column
_HIDDEN_METRICS = {"fit_time_s"}  # it is in the column of durations
_WARNINGS = {"leakage"}
_IDENTICAL = "identical_run"
_BEST = "best_"  # what a search has chosen


def card_html(runs: Sequence[ActiveRun]) -> str:
    """Return the card of some runs: the last of them as a table, and why the failed ones did.

    Candidates of a search are counted in its row: they are in the table of all runs.
    """
    candidates = Counter(run.parent_run_id for run in runs if CANDIDATE_TAG in run.tags)
    runs = [run for run in runs if CANDIDATE_TAG not in run.tags]
    shown = runs[-_ROWS:]
    metrics = _first({key: None for run in shown for key in run.metrics}, _METRICS)
    # A learning rate that is a curve besides needs no second column.
    telling = [key for key in _telling_params(shown) if key not in metrics]
    params = telling[: min(_PARAMS, _COLUMNS - len(metrics))]
    rows = [
        htmlview.Row(
            run.run_id,
            run.run_name,
            run.status,
            None if ADOPTED_TAG in run.tags else run.duration_ms,
            dict(run.metrics),
            dict(run.params),
            _note(run, candidates[run.run_id]),
        )
        for run in shown
    ]
    table = htmlview.runs_table(rows, metric_keys=metrics, param_keys=params)
    failed = "".join(_error(run, len(shown) > 1) for run in shown if run.error)
    told = "".join(_told(shown))
    return htmlview.panel(_title(len(runs)), table + failed + told, footer=_footer(runs, shown))


def _note(run: ActiveRun, candidates: int) -> str:
    parts = [run.tags.get("estimator_name", "")]
    if candidates:  # the best of those that were tried: see `max_tuning_runs`
        parts.append(f"{htmlview.format_count(candidates, 'candidate')} kept")
    if ADOPTED_TAG in run.tags:
        parts.append("adopted")
    return " · ".join(filter(None, parts))


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
    found = [key for key in short if key.startswith(_BEST)]
    chosen = [key for key in short if any(key in run.highlights for run in runs)]
    return dict.fromkeys([*differing, *found, *chosen])


def _owners(key: str) -> list[str]:
    parts = key.split("__")
    return ["__".join(parts[:n]) for n in range(1, len(parts))]


def _first(keys: dict[str, None], count: int) -> list[str]:
    return htmlview.telling_first(key for key in keys if key not in _HIDDEN_METRICS)[:count]


def _told(runs: Sequence[ActiveRun]) -> Iterator[str]:
    """Yield what is to be told of some runs as HTML, warnings first."""
    notices = _notices(runs)
    for run, kind, text in notices[:_ROWS]:
        whole = f"{run.run_name}: {text}" if len(runs) > 1 else text
        yield htmlview.notice(
            htmlview.clip(whole, _NOTICE),
            "warning" if kind in _WARNINGS else "info",
            link=_link(run, text) if kind == _IDENTICAL else None,
        )
    if (more := len(notices) - _ROWS) > 0:
        yield htmlview.notice(f"and {htmlview.format_count(more, 'notice')} more")


def _link(run: ActiveRun, text: str) -> tuple[str, str] | None:
    """Return the words that name the earlier run, and where its card is: in this notebook."""
    twin = run.tags.get(TWIN_TAG)
    words = text.rpartition(" as run ")[2].removesuffix(".")
    if twin is None or not words.endswith(f"({twin[:8]})"):
        return None  # one of another notebook
    return words, f"#{htmlview.anchor(twin)}"


def _notices(runs: Sequence[ActiveRun]) -> list[tuple[ActiveRun, str, str]]:
    """Return what is to be told of some runs: the run, the kind, the text; warnings first."""
    found = [
        (run, key.removeprefix(NOTICE_TAGS), text)
        for run in runs
        for key, text in sorted(run.tags.items())
        if key.startswith(NOTICE_TAGS)
    ]
    return sorted(found, key=lambda notice: notice[1] not in _WARNINGS)


def _error(run: ActiveRun, named: bool) -> str:
    last = (run.error or "").strip().splitlines()[-1:]
    text = htmlview.clip(last[0], _NOTICE) if last else ""
    return htmlview.notice(f"{run.run_name}: {text}" if named else text, "error")


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
    notices = _notices(runs[-_ROWS:])
    lines += [f"nbtrack: {run.run_name}: {text}" for run, _, text in notices[:_ROWS]]
    if (more := len(notices) - _ROWS) > 0:
        lines.append(f"nbtrack: and {htmlview.format_count(more, 'notice')} more")
    return "\n".join(lines)
