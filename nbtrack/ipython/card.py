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

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self.runs: OrderedDict[str, ActiveRun] = OrderedDict()
        self.left: set[str] = set()  # ids of the runs that go on on a later card
        self.display_id = uuid.uuid4().hex
        self.shown = False
        self.changed: set[str] = set()  # ids of the runs that are to be drawn
        self.drawn = 0.0

    @property
    def dirty(self) -> bool:
        return bool(self.changed)

    @property
    def running(self) -> bool:
        return any(
            run.end_time is None for run in self.runs.values() if run.run_id not in self.left
        )


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
            card = self._of_run.get(run.run_id)
            if card is None or self._goes_on(run, card):
                card = self._deal(run) or card
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

    def _goes_on(self, run: ActiveRun, card: _Card) -> bool:
        """Whether a run was taken up again by a later cell than that of its card."""
        return run.execution_id not in {None, card.execution_id}

    def _deal(self, run: ActiveRun) -> _Card | None:
        """Return the card that a run belongs on: that of the cell that makes it."""
        cell = current_cell()
        if cell is None or run.execution_id != cell.execution_id:
            return None
        card = self._cards.setdefault(cell.execution_id, _Card(cell.execution_id))
        before = self._of_run.get(run.run_id)
        if before is not None:  # it stays as it is now
            before.left.add(run.run_id)
            before.changed.discard(run.run_id)
        card.runs[run.run_id] = run
        self._of_run[run.run_id] = card
        while len(self._cards) > _CARDS:
            _, old = self._cards.popitem(last=False)
            for run_id in old.runs.keys() - old.left:
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
