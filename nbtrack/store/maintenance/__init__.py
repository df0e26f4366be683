"""An archive that can be cleaned, checked and copied."""

from nbtrack.store.maintenance.backup import Vacuumed, backup, vacuum
from nbtrack.store.maintenance.check import Problem, Progress, check
from nbtrack.store.maintenance.gc import Collect, Collected, KeptRun, parse_age, preview

__all__ = [
    "Collect",
    "Collected",
    "KeptRun",
    "Problem",
    "Progress",
    "Vacuumed",
    "backup",
    "check",
    "parse_age",
    "preview",
    "vacuum",
]
