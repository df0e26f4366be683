"""Runs, params, metrics, tags, inputs and cells: the contract and its implementations."""

from nbtrack.store.base import NewRun, Session, Store
from nbtrack.store.sqlite import SqliteStore
from nbtrack.store.writer import Writer

__all__ = ["NewRun", "Session", "SqliteStore", "Store", "Writer"]
