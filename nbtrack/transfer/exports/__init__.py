"""Runs of a database for other trackers: one file per kind of target."""

from nbtrack.transfer.exports.mlruns import export_mlruns

__all__ = ["export_mlruns"]
