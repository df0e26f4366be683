"""The card below a cell: the runs it makes, drawn again while the cell runs.

One display per cell. It is published when the cell's first run begins, updated at most ten times
a second from a thread of its own, and once more when the cell ends: what the notebook saves is the
last state, as HTML that needs no script. A metric that comes later updates the card of its run;
a run that goes on in a later cell is on the card of that cell from then on.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING

from nbtrack.provenance.cells import current_cell
from nbtrack.settings import settings
from nbtrack.tracking import notices

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbtrack.tracking import ActiveRun

_TICK_S = 0.1
_CLOCK_S = 1.0  # how often the time of running runs is drawn
_CARDS = 200  # older cards are not updated any more


class _Card:
    """The runs of one cell, and the display that shows them."""

    def __init__(self) -> None:
        self.runs: OrderedDict[str, ActiveRun] = OrderedDict()
        self.display_id = uuid.uuid4().hex
        self.shown = False
        self.changed: set[str] = set()  # ids of the runs that are to be drawn
        self.left: set[str] = set()  # those that went on in a later cell
        self.drawn = 0.0

    @property
    def dirty(self) -> bool:
        return bool(self.changed)

    @property
    def running(self) -> bool:
        return any(r.end_time is None for r in self.runs.values() if r.run_id not in self.left)


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
        self._behind: dict[str, list[_Card]] = {}  # by running run: cards that it has left
        self._lock = threading.RLock()
        self._ticker: threading.Thread | None = None

    def run_changed(self, run: ActiveRun) -> None:
        """Take a change in; the listener of `nbtrack.tracking.events`."""
        if settings.card == "off":
            return
        with self._lock:
            card = self._move(run) or self._of_run.get(run.run_id) or self._deal(run)
            if card is None:
                return
            card.changed.add(run.run_id)
            if run.end_time is not None:
                for behind in self._behind.pop(run.run_id, ()):
                    behind.changed.add(run.run_id)
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
        return self._put(run, cell.execution_id)

    def _move(self, run: ActiveRun) -> _Card | None:
        """Return the card of a later cell that goes on with a run; else None.

        What a thread of the user's does while other cells run stays where it began.
        """
        old, cell = self._of_run.get(run.run_id), current_cell()
        if old is None or cell is None or run.end_time is not None:
            return None
        if self._cards.get(cell.execution_id) is old:
            return None
        if threading.current_thread() is not threading.main_thread():
            return None
        # The old card is drawn again when the run has ended, and not at every step of it.
        old.left.add(run.run_id)
        self._behind.setdefault(run.run_id, []).append(old)
        return self._put(run, cell.execution_id)

    def _put(self, run: ActiveRun, execution_id: str) -> _Card:
        card = self._cards.setdefault(execution_id, _Card())
        card.runs[run.run_id] = run
        card.left.discard(run.run_id)
        self._of_run[run.run_id] = card
        while len(self._cards) > _CARDS:
            _, old = self._cards.popitem(last=False)
            for run_id in old.runs:
                if self._of_run.get(run_id) is old:
                    del self._of_run[run_id]
                    self._behind.pop(run_id, None)
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
        # Not before there is something to draw: loading the extension stays light.
        from nbtrack.ipython.drawing import card_html, card_text

        changed = [run for run in card.runs.values() if run.run_id in card.changed]
        card.changed, card.drawn = set(), time.monotonic()
        if settings.card != "full" or not self._live:
            if changed:
                print(card_text(changed))  # noqa: T201 - a line of text is what was asked for
            return
        runs = list(card.runs.values())
        self._shell.display_pub.publish(
            data={"text/html": card_html(runs), "text/plain": card_text(runs)},
            metadata={},
            transient={"display_id": card.display_id},
            update=card.shown,
        )
        card.shown = True
