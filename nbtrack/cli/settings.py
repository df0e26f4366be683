"""The settings, listed."""

from __future__ import annotations

from typing import Any

import click

from nbtrack.cli.base import Command, answer
from nbtrack.settings import Settings, settings


@click.command("config", cls=Command)
def config() -> None:
    """List the settings: their values, environment variables and meaning."""
    found: list[dict[str, Any]] = [
        {
            "name": setting.name,
            "value": _shown(getattr(settings, setting.name)),
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


def _shown(value: object) -> object:
    """Return a value without the password that an address may have."""
    from nbtrack.provenance import redact

    return redact(value) if isinstance(value, str) else value
