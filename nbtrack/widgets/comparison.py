"""The comparison of runs as a widget."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from nbtrack import htmlview
from nbtrack.bundles import read_bundle
from nbtrack.datasource import MAX_RUNS, DataSource
from nbtrack.provenance.cells import current_cell
from nbtrack.tracking import Client
from nbtrack.tracking.events import subscribe, unsubscribe
from nbtrack.tracking.fluent import default_client
from nbtrack.tracking.frames import people_frame
from nbtrack.types import Run
from nbtrack.widgets.transport import Transport

if TYPE_CHECKING:
    import pandas as pd

    from nbtrack.tracking import ActiveRun

_STATIC_ROWS, _STATIC_COLUMNS = 20, 4


class CompareWidget(anywidget.AnyWidget):
    """A table of runs and a chart, to sort, select and register from. Use `compare`.

    Attributes
    ----------
    selected
        Ids of the runs whose box is ticked; setting it ticks them.
    spec
        What is shown: title, metric of the chart, run_ids (None: all), view.
    """

    spec = traitlets.Dict().tag(sync=True)
    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self, client: Client, *, runs: Sequence[str] | None = None, metric: str | None = None
    ) -> None:
        ids = None if runs is None else [client.get_run(run).info.run_id for run in runs]
        self._client = client
        self._run_ids = ids
        spec = {"title": None, "metric": metric, "run_ids": ids, "view": "compare"}
        super().__init__(_esm=read_bundle("widget.js"), spec=spec, selected=[])
        self._transport = Transport(DataSource(client), self.send, self._take_state)
        self.on_msg(lambda _widget, content, _buffers: self._transport.receive(content))
        _answer_while_busy(self)
        _watch(client, weakref.ref(self))

    def to_pandas(self) -> pd.DataFrame:
        """Return the selected runs, or all that are shown where none is selected.

        Returns
        -------
        pandas.DataFrame
            As `nbtrack.runs` has it.
        """
        return people_frame(self._client.run_table(runs=self.selected or self._run_ids))

    def runs_changed(self) -> None:
        """Let the page fetch the runs again, soon."""
        self._transport.push_changed()

    def _take_state(self, state: Mapping[str, Any]) -> None:
        selected = state.get("selected", [])
        self.selected = [str(run_id) for run_id in selected] if isinstance(selected, list) else []

    def _runs(self, ids: Sequence[str] | None) -> list[Run]:
        return self._client.search_runs(runs=ids, max_results=MAX_RUNS)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and beside it what a saved notebook shows without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        runs = self._runs(self._run_ids)
        static = {"text/plain": _static_text(runs), "text/html": _static_html(runs)}
        if not _is_live():
            # Executed by nbclient and the like: a widget would come out blank when offline.
            return static, {}
        return {**(data or {}), **static}, metadata


def compare(*runs: str, metric: str | None = None) -> CompareWidget:
    """Show runs side by side: a sortable table, a chart, and a button to register the best.

    Parameters
    ----------
    *runs
        Ids, beginnings of ids, or names; default: all runs.
    metric
        What the chart shows first; default: the metric that most runs have.

    Returns
    -------
    CompareWidget
        ``w.selected`` has the ids of the ticked runs, ``w.to_pandas()`` their table.

    Raises
    ------
    NotFoundError, InvalidParameterError
        No run, or more than one, is meant by one of `runs`.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine"):
    ...     nbtrack.log_metric("loss", 0.5)
    >>> w = nbtrack.compare()
    >>> w.selected, w.to_pandas()["loss"].tolist()
    ([], [0.5])
    """
    return CompareWidget(default_client(), runs=runs or None, metric=metric)


def _watch(client: Client, ref: weakref.ref[CompareWidget]) -> None:
    def changed(run: ActiveRun) -> None:
        widget = ref()
        if widget is None or widget.comm is None:
            unsubscribe(changed)
        elif run.place == client.place:
            widget.runs_changed()

    subscribe(changed)


def _answer_while_busy(widget: CompareWidget) -> None:
    # ipykernel 7.4 sends a message of the page to the shell that last sent to the page, which
    # is the busy one; left where the page sent it, it is answered while the cell runs.
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, default: default


def _is_live() -> bool:
    """Return whether somebody sees the output: a host gives its cells ids, nbclient does not."""
    cell = current_cell()
    return cell is None or cell.cell_id is not None or "google.colab" in sys.modules


def _static_html(runs: Sequence[Run]) -> str:
    metrics = _common(run.data.metrics for run in runs)
    rows = [
        htmlview.Row(
            run.info.run_id,
            run.info.run_name,
            run.info.status,
            run.info.duration_ms,
            run.data.metrics,
            run.data.params,
            run.data.tags.get("estimator_name", ""),
        )
        for run in runs[:_STATIC_ROWS]
    ]
    if not rows:
        return htmlview.panel("nbtrack · no runs yet", "", footer="Fit a model, and compare again.")
    table = htmlview.runs_table(rows, metric_keys=metrics[:_STATIC_COLUMNS], param_keys=[])
    more = f"{len(runs) - len(rows)} more runs" if len(runs) > len(rows) else ""
    return htmlview.panel(f"nbtrack · {len(runs)} runs", table, footer=more)


def _static_text(runs: Sequence[Run]) -> str:
    metrics = _common(run.data.metrics for run in runs)[:_STATIC_COLUMNS]
    rows = [
        [
            run.info.run_name,
            run.info.status,
            htmlview.format_duration(run.info.duration_ms),
            *(
                htmlview.format_number(run.data.metrics[key]) if key in run.data.metrics else "–"
                for key in metrics
            ),
        ]
        for run in runs[:_STATIC_ROWS]
    ]
    return htmlview.text_table(rows, ["run", "status", "duration", *metrics])


def _common(rows: Any) -> list[str]:
    """Return the keys of some mappings, those that most have first."""
    counts: dict[str, int] = {}
    for row in rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))
