"""Registered models and their versions, with an audit trail; and the URIs that name them."""

from nbtrack.registry.base import Registry, check_name
from nbtrack.registry.sqlite import SqliteRegistry
from nbtrack.registry.uri import LoggedModelUri, ModelUri, RunUri, parse

__all__ = [
    "LoggedModelUri",
    "ModelUri",
    "Registry",
    "RunUri",
    "SqliteRegistry",
    "check_name",
    "parse",
]
