"""``nbtrack`` on the command line."""

from __future__ import annotations

import click

from nbtrack._version import __version__
from nbtrack.cli.base import STATUSES, Main

# Where each command is, below nbtrack.cli: a file is imported when its command is used.
_PLACES = {
    "artifacts": "artifacts:artifacts",
    "completion": "completion:completion",
    "config": "settings:config",
    "db": "database:database",
    "doctor": "doctor:doctor",
    "experiments": "experiments:experiments",
    "export": "transfer:export_command",
    "gc": "gc:collect",
    "import": "imports:import_command",
    "merge": "transfer:merge_command",
    "models": "models:models",
    "report": "report:report_command",
    "runs": "runs:runs",
    "sql": "sql:run_sql",
}


@click.group(
    cls=Main,
    places=_PLACES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nStatus of the process:\n"
    + "\n".join(f"{status:>5}  {meaning}" for status, meaning in STATUSES.items()),
)
@click.version_option(__version__, prog_name="nbtrack")
def main() -> None:
    """Experiment tracking in one SQLite file."""
