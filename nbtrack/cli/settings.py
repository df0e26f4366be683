"""The settings, listed."""

from __future__ import annotations

import click

from nbtrack.cli.base import Command, answer
from nbtrack.settings import Settings, settings


@click.command("config", cls=Command)
def config() -> None:
    """List the settings: their values, environment variables and meaning."""
    found = [
        {
            "name": setting.name,
            "value": getattr(settings, setting.name),
            "variables": list(setting.variables),
            "help": setting.help,
        }
        for setting in Settings.table()
    ]
    answer(
        found,
        *(
            text
            for setting in found
            for text in (
                f"{setting['name']} = {setting['value']!r}",
                f"    {setting['help']}",
                f"    Environment: {', '.join(setting['variables'])}",
            )
        ),
    )
