"""Runs of a database for other trackers: one file per kind of target."""
