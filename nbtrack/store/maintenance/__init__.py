"""An archive that can be cleaned, checked and copied."""

from nbtrack.store.maintenance.backup import Vacuumed, backup, vacuum
from nbtrack.store.maintenance.check import Problem, Progress, check
from nbtrack.store.maintenance.gc import Collect, Collected, KeptRun, parse_age, preview
from nbtrack.store.maintenance.sweep import Sweep, Swept, find_orphans, sweep_elsewhere

__all__ = [
    "Collect",
    "Collected",
    "KeptRun",
    "Problem",
    "Progress",
    "Sweep",
    "Swept",
    "Vacuumed",
    "backup",
    "check",
    "find_orphans",
    "parse_age",
    "preview",
    "sweep_elsewhere",
    "vacuum",
]
