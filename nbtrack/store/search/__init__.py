"""Searching: MLflow's filters and orders, and what nbtrack adds to them.

A filter is made of comparisons, ``[entity.]key operator value``, joined by AND, OR and NOT with
parentheses. ``metrics.acc > 0.9 AND params.model LIKE 'forest%'`` means what it means in MLflow;
beyond that there are

- ``OR``, ``NOT (...)``, parentheses; ``==`` for ``=``; a quote within quotes, written twice;
- ``IN`` and ``NOT IN`` for every key, ``NOT LIKE``, ``NOT ILIKE``, ``[NOT] BETWEEN a AND b`` for
  numbers, ``[NOT] RLIKE`` with a regular expression of Python's that may match anywhere;
- ``IS [NOT] NULL`` for everything that may be missing, metrics and datasets too;
- ``metrics.loss.min``, ``max``, ``first``, ``last`` and ``count`` of a metric's history. Where a
  run has a metric that is called ``loss.min``, that one is meant; ``metrics."loss".min`` never
  is, and ``metrics."loss.min"`` always is the metric of that name;
- ``duration_ms``, ``experiment_id``, ``experiment_name``, ``parent_run_id`` and ``notebook``.

What is missing passes no comparison, ``!=`` and ``NOT IN`` included, but ``NOT (...)`` is true
exactly where what it holds is not. NaN passes ``!=`` and ``NOT IN`` only. Of several datasets one
has to pass. `select_runs` and `select_experiments` return the SQL.
"""

from nbtrack.store.search.fields import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
)
from nbtrack.store.search.functions import register
from nbtrack.store.search.parser import parse_filter, parse_order
from nbtrack.store.search.sql import Selection, select_experiments, select_runs

__all__ = [
    "EXPERIMENTS",
    "LOGGED_MODELS",
    "MODEL_VERSIONS",
    "REGISTERED_MODELS",
    "RUNS",
    "Selection",
    "parse_filter",
    "parse_order",
    "register",
    "select_experiments",
    "select_runs",
]
