"""``%load_ext nbtrack``: hooks cells and libraries, and puts all of it back on unload.

Nothing heavy is imported here: pandas, numpy and the widget libraries come when something needs
them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from traitlets import TraitError

from nbtrack import autologging
from nbtrack.autologging import scope, tally
from nbtrack.autologging.tracker import FluentTracker
from nbtrack.db import check_file
from nbtrack.errors import NbtrackError
from nbtrack.ipython.card import CardDeck
from nbtrack.ipython.config import NBTrack
from nbtrack.ipython.magics import CELLS, NbtrackMagics, is_off, off_cell
from nbtrack.provenance import cells
from nbtrack.tracking import events, later, notices
from nbtrack.tracking.location import current_place

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell
    from traitlets.config import Configurable

_SETTLE_S = 0.25
"""How long a cell waits at most for what its runs are still told: a notebook may be saved then."""

_loaded: dict[int, Extension] = {}  # by id of the shell


class Extension:
    """nbtrack in one shell: all that was registered, so that it can be taken out again.

    Parameters
    ----------
    shell
        The running IPython.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._deck = CardDeck(shell)
        self._config = _config(shell)
        self._magics = NbtrackMagics(shell)

    def load(self) -> None:
        """Register everything."""
        cells.notebook[:] = filter(None, [_notebook_path(self._shell)])
        notices.defer(True)
        self._shell.register_magics(self._magics)
        self._shell.configurables.append(self._config)  # type: ignore[arg-type]  # its hint is too narrow
        self._shell.events.register("pre_run_cell", self._pre_run_cell)
        self._shell.events.register("post_run_cell", self._post_run_cell)
        # Before IPython's own, one of which makes a call of every cell magic.
        self._shell.input_transformers_cleanup.insert(0, off_cell)
        events.subscribe(self._deck.run_changed)
        # The cell that loads us had no pre_run_cell of ours.
        sources = getattr(self._shell.history_manager, "input_hist_raw", [""])
        cells.begin_cell(str(sources[-1]), self._execution_count(True), _cell_id(self._shell))
        autologging.enable(FluentTracker())

    def unload(self) -> None:
        """Take everything out, and store what is still queued."""
        autologging.disable()
        scope.pause(False)
        self._shell.input_transformers_cleanup.remove(off_cell)
        events.unsubscribe(self._deck.run_changed)
        self._deck.end_cell()
        cells.end_cell("ok")
        self._shell.events.unregister("pre_run_cell", self._pre_run_cell)
        self._shell.events.unregister("post_run_cell", self._post_run_cell)
        self._shell.configurables.remove(self._config)  # type: ignore[arg-type]
        for kind in ("line", "cell"):
            self._shell.magics_manager.magics[kind].pop("nbtrack", None)
        self._shell.magics_manager.registry.pop(type(self._magics).__name__, None)
        notices.show_waiting(_show_notice)
        notices.defer(False)

    def _execution_count(self, stored: bool) -> int | None:
        # IPython has counted the cell already when it calls us; one outside of the history
        # (a widget's, a silent one) has no number.
        return int(self._shell.execution_count) - 1 if stored else None

    def _pre_run_cell(self, info: ExecutionInfo) -> None:
        count = self._execution_count(bool(info.store_history))
        off = is_off(info.raw_cell or "")
        if off:
            tally.skipped(CELLS, "%%nbtrack off")
        scope.pause(off)
        cells.begin_cell(info.raw_cell or "", count, getattr(info, "cell_id", None))

    def _post_run_cell(self, result: ExecutionResult) -> None:
        error = result.error_before_exec or result.error_in_exec
        outcome = "ok" if error is None else "error"
        if isinstance(error, KeyboardInterrupt):
            outcome = "interrupted"
        cells.end_cell(outcome)
        scope.pause(False)
        later.wait(_SETTLE_S)
        self._deck.end_cell()
        notices.show_waiting(_show_notice)


def _config(shell: InteractiveShell) -> Configurable:
    try:
        return NBTrack(parent=shell)
    except TraitError as error:
        # A wrong value in the user's IPython configuration: told, and the rest goes on.
        notices.warn(str(error))
        return NBTrack()


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Track every fit from now on: ``%load_ext nbtrack``. Loading again does nothing.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> from nbtrack import load_ipython_extension, unload_ipython_extension
    >>> shell = InteractiveShell.instance()
    >>> load_ipython_extension(shell)  # doctest: +ELLIPSIS
    nbtrack ...
    >>> unload_ipython_extension(shell)
    """
    if id(shell) in _loaded:
        return
    extension = Extension(shell)
    _loaded[id(shell)] = extension
    extension.load()
    print(_greeting())  # noqa: T201 - the one line that loading says


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Stop tracking, and leave every class as it was: ``%unload_ext nbtrack``.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> from nbtrack import unload_ipython_extension
    >>> unload_ipython_extension(InteractiveShell.instance())
    """
    extension = _loaded.pop(id(shell), None)
    if extension is not None:
        extension.unload()


def _greeting() -> str:
    place = current_place()
    where, state = str(place), ""
    if isinstance(place, Path):
        try:
            check_file(place)
        except NbtrackError as error:
            return f"nbtrack cannot store anything: {error}"
        where, state = _short(place), "" if place.exists() else " (made by the first run)"
    libraries = " and ".join(_library_names())
    return f"nbtrack tracks every fit of {libraries} in {where}{state} · %nbtrack for help"


def _library_names() -> list[str]:
    return [row.title for row in autologging.TABLE if row.title]


def _short(path: os.PathLike[str]) -> str:
    text, home = os.fspath(path), os.path.expanduser("~")  # noqa: PTH111 - text in, text out
    return f"~{text.removeprefix(home)}" if text.startswith(home + os.sep) else text


def _show_notice(message: str) -> None:
    print(f"nbtrack: {message}", file=sys.stderr)  # noqa: T201 - below the cell


def _notebook_path(shell: InteractiveShell) -> str | None:
    """Return where the notebook lies, as its host tells: JupyterLab, Notebook 7, or VS Code."""
    path = (
        shell.user_ns.get("__vsc_ipynb_file__")
        or shell.user_ns.get("__session__")
        or os.environ.get("JPY_SESSION_NAME")
    )
    return str(path) if path else None


def _cell_id(shell: InteractiveShell) -> str | None:
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return None
    metadata = kernel.get_parent("shell").get("metadata") or {}
    cell_id = metadata.get("cellId")
    return None if cell_id is None else str(cell_id)
