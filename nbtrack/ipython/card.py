"""The card below a cell: the runs it makes, drawn again while the cell runs.

One display per cell. It is published when the cell's first run begins, updated at most ten times
a second from a thread of its own, and once more when the cell ends: what the notebook saves is the
last state, as HTML that needs no script. A metric that comes later updates the card of its run.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING

from nbtrack import htmlview
from nbtrack.provenance import current_cell
from nbtrack.settings import settings
from nbtrack.tracking import notices
from nbtrack.types import RunStatus

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.tracking import ActiveRun

_TICK_S = 0.1
_CLOCK_S = 1.0  # how often the time of running runs is drawn
_ROWS, _METRICS, _PARAMS = 12, 4, 4
_SHORT = 40  # characters of a param that fit a column
_CARDS = 200  # older cards are not updated any more
_HIDDEN_METRICS = {"fit_time_s"}  # it is in the column of durations


class _Card:
    """The runs of one cell, and the display that shows them."""

    def __init__(self) -> None:
        self.runs: OrderedDict[str, ActiveRun] = OrderedDict()
        self.display_id = uuid.uuid4().hex
        self.shown = False
        self.changed: set[str] = set()  # ids of the runs that are to be drawn
        self.drawn = 0.0

    @property
    def dirty(self) -> bool:
        return bool(self.changed)

    @property
    def running(self) -> bool:
        return any(run.status is RunStatus.RUNNING for run in self.runs.values())


class CardDeck:
    """The cards of one notebook.

    Parameters
    ----------
    shell
        Where they are displayed. In a terminal a card is a line, printed when its cell ends.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._live = hasattr(shell, "kernel")
        self._cards: OrderedDict[str, _Card] = OrderedDict()  # by execution id
        self._of_run: dict[str, _Card] = {}
        self._lock = threading.RLock()
        self._ticker: threading.Thread | None = None

    def run_changed(self, run: ActiveRun) -> None:
        """Take a change in; the listener of `nbtrack.tracking.events`."""
        if settings.card == "off":
            return
        with self._lock:
            card = self._of_run.get(run.run_id) or self._deal(run)
            if card is None:
                return
            card.changed.add(run.run_id)
            if settings.card == "full" and self._live:
                if not card.shown:
                    # Here and not in the thread, so that it stands below this very cell.
                    self._publish(card)
                if self._ticker is None:
                    self._ticker = threading.Thread(
                        target=self._tick, name="nbtrack-card", daemon=True
                    )
                    self._ticker.start()

    def end_cell(self) -> None:
        """Draw what has changed for the last time in this cell."""
        with self._lock:
            for card in self._cards.values():
                if card.dirty or card.running:
                    self._publish(card)

    def _deal(self, run: ActiveRun) -> _Card | None:
        """Return the card that a run belongs on: that of the cell that makes it."""
        cell = current_cell()
        if cell is None or run.execution_id != cell.execution_id:
            return None
        card = self._cards.setdefault(cell.execution_id, _Card())
        card.runs[run.run_id] = run
        self._of_run[run.run_id] = card
        while len(self._cards) > _CARDS:
            _, old = self._cards.popitem(last=False)
            for run_id in old.runs:
                del self._of_run[run_id]
        return card

    def _tick(self) -> None:
        while True:
            time.sleep(_TICK_S)
            with self._lock:
                now = time.monotonic()
                for card in self._cards.values():
                    if card.dirty or (card.running and now - card.drawn > _CLOCK_S):
                        self._try_publish(card)
                if not any(card.running for card in self._cards.values()):
                    self._ticker = None
                    return

    def _try_publish(self, card: _Card) -> None:
        try:
            self._publish(card)
        except Exception as error:  # noqa: BLE001 - this thread has nobody else to tell
            card.changed.clear()
            notices.warn(f"The card could not be drawn: {type(error).__name__}: {error}")

    def _publish(self, card: _Card) -> None:
        changed = [run for run in card.runs.values() if run.run_id in card.changed]
        card.changed, card.drawn = set(), time.monotonic()
        if settings.card != "full" or not self._live:
            if changed:
                print(_text(changed))  # noqa: T201 - a line of text is what was asked for
            return
        self._shell.display_pub.publish(
            data={"text/html": _html(card), "text/plain": _text(list(card.runs.values()))},
            metadata={},
            transient={"display_id": card.display_id},
            update=card.shown,
        )
        card.shown = True


def _html(card: _Card) -> str:
    runs = list(card.runs.values())
    shown = runs[-_ROWS:]
    metrics = _first({key: None for run in shown for key in run.metrics}, _METRICS)
    params = _first(_telling_params(shown), _PARAMS)
    rows = [
        htmlview.Row(
            run.run_id,
            run.run_name,
            run.status,
            run.duration_ms,
            dict(run.metrics),
            dict(run.params),
            run.tags.get("estimator_name", ""),
        )
        for run in shown
    ]
    table = htmlview.runs_table(rows, metric_keys=metrics, param_keys=params)
    failed = "".join(_error(run) for run in shown if run.error)
    return htmlview.panel(_title(card), table + failed, footer=_footer(runs, shown))


def _title(card: _Card) -> str:
    count = len(card.runs)
    return f"nbtrack · {count} run{'s' if count > 1 else ''}"


def _footer(runs: list[ActiveRun], shown: list[ActiveRun]) -> str:
    parts = []
    if len(runs) > len(shown):
        states = [str(run.status).lower() for run in runs]
        counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
        parts.append(f"the last {len(shown)} of {len(runs)} runs ({counts})")
    if shown and not any(run.status is RunStatus.RUNNING for run in shown):
        parts.append("compare them all: %nbtrack compare")
    return " · ".join(parts)


def _telling_params(runs: list[ActiveRun]) -> dict[str, None]:
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
    return [key for key in keys if key not in _HIDDEN_METRICS][:count]


def _error(run: ActiveRun) -> str:
    last = (run.error or "").strip().splitlines()[-1:]
    return htmlview.message(f"{run.run_name}: {htmlview.clip(last[0], 300) if last else ''}")


def _text(runs: list[ActiveRun]) -> str:
    lines = []
    for run in runs[-_ROWS:]:
        metrics = ", ".join(
            f"{key}={htmlview.format_number(run.metrics[key])}"
            for key in _first(dict.fromkeys(run.metrics), _METRICS)
        )
        what = run.tags.get("estimator_name", "run")
        took = htmlview.format_duration(run.duration_ms)
        words = ["nbtrack:", run.run_name, f"({what})", str(run.status).lower(), took, metrics]
        lines.append(" ".join(word for word in words if word))
    return "\n".join(lines)
