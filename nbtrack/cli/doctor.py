"""What runs here, and whether all is well with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from nbtrack.cli.base import Command, Failure, answer, options


@click.command("doctor", cls=Command)
@click.option("--mask-envs", is_flag=True, help="Show no values of environment variables.")
def doctor(mask_envs: bool) -> None:
    """Say what runs here, which database is used and why, and what is wrong."""
    from nbtrack.cli import facts

    problems: facts.Problems = []
    found = {
        "installation": facts.installation(),
        "database": facts.database(options().db, problems),
        "libraries": facts.libraries(problems),
        "notebook": facts.notebook(problems),
        "environment": facts.environment(mask=mask_envs),
        "problems": problems,
    }
    answer(found, *_lines(found))
    if problems:
        one = len(problems) == 1
        raise Failure("One problem was found." if one else f"{len(problems)} problems were found.")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what people read."""
    here = found["installation"]
    yield f"nbtrack {here['nbtrack']} in {here['nbtrack_path']}"
    yield f"Python {here['python']} ({here['python_path']}), SQLite {here['sqlite']}"
    yield f"System: {here['system']}"
    yield ""
    yield from _database(found["database"])
    yield ""
    for library in found["libraries"]:
        state = library["version"] or "not installed"
        note = "" if library["in_range"] else ", out of range"
        yield f"{library['name']} {state}{note} ({library['role']})"
    yield ""
    yield from _notebook(found["notebook"])
    yield ""
    for name, value in found["environment"].items():
        yield f"{name}={value}"
    if found["environment"]:
        yield ""
    for problem in found["problems"]:
        yield f"Problem: {problem['what']}"
        if problem["hint"]:
            yield f"hint: {problem['hint']}"
    if not found["problems"]:
        yield "No problems were found."


def _database(facts: dict[str, Any]) -> Iterator[str]:
    from nbtrack.htmlview import format_count, format_size

    yield f"Database: {facts['path'] or facts.get('server', 'none')} ({facts['why']})"
    if "schema" in facts:
        state = "" if facts["schema"] == facts["schema_known"] else ", brought up to date when used"
        yield (
            f"  {format_size(facts['bytes'])}, schema {facts['schema']}{state}, "
            f"journal mode {facts['journal_mode']}"
        )
        yield (
            f"  {format_count(facts['experiments'], 'experiment')}, "
            f"{format_count(facts['runs'], 'run')} ({facts['in_trash']:,} more in the trash), "
            f"{format_count(facts['models'], 'registered model')}"
        )
    if "disk_free" in facts:
        yield (
            f"  {'writable' if facts['writable'] else 'not writable'}, on "
            f"{'a network file system' if facts['network'] else 'a local disk'} with "
            f"{format_size(facts['disk_free'])} free"
        )
    for journal in facts.get("journals", ()):
        yield f"  journal: {journal['path']} ({format_size(journal['bytes'])})"


def _notebook(facts: dict[str, Any]) -> Iterator[str]:
    from nbtrack.cli.facts import NOTEBOOK
    from nbtrack.htmlview import format_size

    for name in NOTEBOOK:
        yield f"{name} {facts[name] or 'not installed'}"
    yield f"%load_ext nbtrack: {'works' if facts['extension'] else 'needs IPython'}"
    yield f"Widgets in JupyterLab: {'installed' if facts['widgets'] else 'not in this environment'}"
    for name, size in facts["bundles"].items():
        yield f"{name}: {format_size(size) if size else 'missing'}"
