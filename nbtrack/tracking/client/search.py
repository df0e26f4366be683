"""What is found of runs: single ones, lists and tables of them, histories of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbtrack.errors import NotFoundError
from nbtrack.provenance.source import PARENT
from nbtrack.store import views
from nbtrack.tracking.client.base import ClientBase
from nbtrack.tracking.paging import PagedList, check_count, page, view_type
from nbtrack.types import (
    Metric,
    MetricSeries,
    Run,
    RunDetail,
    RunQuery,
    RunTable,
    ViewType,
)

if TYPE_CHECKING:
    import pandas as pd


class Search(ClientBase):
    """The runs of a database, as they are read."""

    def get_run(self, run_id: str) -> Run:
        """Return a run.

        Raises
        ------
        NotFoundError, InvalidParameterError
            No run, or more than one, is meant.
        """
        return self._workspace.store.get_run(self._id(run_id))

    def get_parent_run(self, run_id: str) -> Run | None:
        """Return the run that a run is a part of, or None."""
        child = self.get_run(run_id)
        parent = child.data.tags.get(PARENT) or child.info.parent_run_id
        return self.get_run(parent) if parent else None

    def get_run_detail(self, run_id: str) -> RunDetail:
        """Return a run with its data, artifacts, cell and environment."""
        return self._workspace.store.get_run_detail(self._id(run_id))

    def search_runs(  # noqa: PLR0917 - MLflow's signature
        self,
        experiment_ids: str | int | Sequence[str] | None = None,
        filter_string: str | None = "",
        run_view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        *,
        experiment_names: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
    ) -> PagedList[Run]:
        """Return runs, newest first.

        Parameters
        ----------
        experiment_ids, experiment_names
            Only runs of these; default: all.
        filter_string
            For example ``metrics.accuracy > 0.9 AND params.model = 'forest'``.
        run_view_type
            `ViewType`: whether those in the trash are meant.
        max_results
            At most so many; ``.token`` of the result asks for the next.
        order_by
            For example ``["metrics.accuracy DESC"]``.
        page_token
            Where to go on.
        runs
            Only these.

        Raises
        ------
        NotFoundError, InvalidParameterError
            A name in `experiment_names` or `runs` is none; the filter, the order, the view, the
            token or `max_results` cannot be used.
        """
        check_count(max_results)
        query = self._query(
            experiment_ids=experiment_ids,
            filter_string=filter_string,
            run_view_type=run_view_type,
            order_by=order_by,
            experiment_names=experiment_names,
            runs=runs,
        )
        if query is None:
            return PagedList()

        def search(count: int, offset: int) -> list[Run]:
            return self._workspace.store.search_runs(
                replace(query, max_results=count, offset=offset)
            )

        return page(search, max_results, page_token)

    def run_table(
        self,
        experiment_ids: str | int | Sequence[str] | None = None,
        filter_string: str | None = "",
        run_view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int = 100_000,
        order_by: Sequence[str] | None = None,
        *,
        experiment_names: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
    ) -> RunTable:
        """Return runs by columns: faster than `search_runs` where there are many."""
        check_count(max_results)
        query = self._query(
            experiment_ids=experiment_ids,
            filter_string=filter_string,
            run_view_type=run_view_type,
            order_by=order_by,
            experiment_names=experiment_names,
            runs=runs,
        )
        if query is None:
            return RunTable([], {}, {}, {}, {})
        return self._workspace.store.run_table(replace(query, max_results=max_results))

    def _query(
        self,
        *,
        experiment_ids: str | int | Sequence[str] | None,
        filter_string: str | None,
        run_view_type: int | str,
        order_by: Sequence[str] | None,
        experiment_names: Sequence[str] | None,
        runs: Sequence[str] | None,
    ) -> RunQuery | None:
        """Return what is asked for; None if there is no database that could have it."""
        if experiment_names is None and runs is None and self._is_empty():
            view_type(run_view_type)
            return None
        if isinstance(experiment_ids, str | int):
            experiment_ids = [str(experiment_ids)]
        ids = None if experiment_ids is None else [str(x) for x in experiment_ids]
        if experiment_names is not None:
            ids = [*(ids or []), *map(self._experiment_id, experiment_names)]
        return RunQuery(
            experiment_ids=ids,
            run_ids=None if runs is None else [self._id(run) for run in runs],
            filter=filter_string or "",
            order_by=order_by or (),
            view_type=view_type(run_view_type),
        )

    def _experiment_id(self, name: str) -> str:
        store = self._workspace.store
        found = store.get_experiment_by_name(name)
        if found is None:
            known = ", ".join(x.name for x in store.search_experiments()[:10])
            raise NotFoundError(f"There is no experiment {name!r}.", hint=f"There is: {known}.")
        return found.experiment_id

    def sql(
        self,
        query: str,
        params: Sequence[Any] | Mapping[str, Any] = (),
        *,
        max_rows: int | None = None,
    ) -> pd.DataFrame:
        """Return what a SELECT over the views of the database gives; see `nbtrack.sql`."""
        import pandas as pd

        self.flush()
        names, rows = views.query(self.path, query, params, max_rows=max_rows)
        # Names may come twice: SELECT count(*), count(*).
        frame = pd.DataFrame(rows, columns=range(len(names)))
        frame.columns = pd.Index(names)
        return frame

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Return all points of a metric in the order of their steps; empty for an unknown one."""
        return [
            Metric(key, value, timestamp, step, run_id=series.run_id)
            for series in self.metric_series([run_id], key)
            for step, timestamp, value in zip(
                series.steps.tolist(),
                series.timestamps.tolist(),
                series.values.tolist(),
                strict=True,
            )
        ]

    def metric_series(
        self, runs: Sequence[str], key: str, *, max_points: int | None = None
    ) -> list[MetricSeries]:
        """Return one metric of several runs, with at most about `max_points` points each."""
        ids = [self._id(run) for run in runs]
        return self._workspace.store.metric_series(ids, [key], max_points=max_points)

    def get_param_history(self, run_id: str, key: str) -> list[str]:
        """Return all values that a param of a run has had, the present one last."""
        return self._workspace.store.param_history(self._id(run_id), key)
