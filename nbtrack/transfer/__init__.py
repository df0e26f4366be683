"""Runs on their way from one database file to another."""

from nbtrack.transfer.merge import export, merge
from nbtrack.transfer.report import MergedVersion, MergeReport

__all__ = ["MergeReport", "MergedVersion", "export", "merge"]
