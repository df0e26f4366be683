"""The README's reference is generated from the code, and names all there is.

``python tests/test_docs.py --write`` brings it up to date.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from enum import StrEnum
from pathlib import Path

import click
import pytest

import nbtrack
from nbtrack.cli import main
from nbtrack.cli.base import STATUSES
from nbtrack.ipython.magics import build_parser
from nbtrack.settings import Settings
from nbtrack.store.views import VIEWS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def functions() -> str:
    """One line for each public name."""
    lines = []
    for name in nbtrack.__all__:
        if name.endswith("_ipython_extension"):
            continue  # %load_ext and %unload_ext call them
        value = getattr(nbtrack, name)
        signature = "" if inspect.isclass(value) else _short_signature(value)
        summary = inspect.getdoc(value).splitlines()[0].rstrip(".")
        lines.append(f"- `nbtrack.{name}{signature}`: {summary}.")
    return "\n".join(lines)


def _short_signature(function: object) -> str:
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        value = parameter.default
        shown = repr(str(value)) if isinstance(value, StrEnum) else repr(value)
        default = "" if value is parameter.empty else f"={shown}"
        parts.append(f"{star}{parameter.name}{default}")
    return f"({', '.join(parts)})"


def _subparsers(parser: argparse.ArgumentParser) -> argparse._SubParsersAction:
    return next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))


def magics() -> str:
    """One line for each command of %nbtrack."""
    action = _subparsers(build_parser())
    help_of = {choice.dest: choice.help for choice in action._choices_actions}
    lines = []
    for name, parser in action.choices.items():
        usage = " ".join(parser.format_usage().split()[1:]).replace(" [-h]", "")
        lines.append(f"- `{usage}`: {help_of[name].replace('%%', '%')}.")
    return "\n".join(lines)


def commands() -> str:
    """One line for each command of the command line."""
    lines = []

    def walk(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            for name in sorted(command.list_commands(click.Context(command))):
                walk(command.get_command(click.Context(command), name), f"{path} {name}")
            return
        context = click.Context(command, info_name=path, help_option_names=["-h", "--help"])
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        lines.append(f"- `{usage}`: {command.get_short_help_str(200).rstrip('.')}.")

    walk(main, "nbtrack")
    return "\n".join(lines)


def statuses() -> str:
    """A table of what the status of the process can be."""
    rows = ["| status | meaning |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| {status} | {text} |" for status, text in STATUSES.items())])


def settings() -> str:
    """A table of all settings."""
    rows = ["| name | environment | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{row.name}` | {variables} | `{row.default!r}` | {row.help} |"
        for row in Settings.table()
        for variables in ["<br>".join(f"`{name}`" for name in (row.env, *row.also))]
    ]
    return "\n".join(rows)


def views() -> str:
    """One line for each view that SQL sees."""
    return "\n".join(
        f"- `{view.name}`: {view.about.rstrip('.')}: {', '.join(row[0] for row in view.columns)}."
        for view in VIEWS
    )


BLOCKS = {
    "functions": functions,
    "magics": magics,
    "commands": commands,
    "statuses": statuses,
    "views": views,
    "settings": settings,
}


def _with_block(text: str, name: str, content: str) -> str:
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    assert pattern.search(text), f"README.md has no block {name!r}"
    return pattern.sub(lambda _: f"{begin}{content}\n{end}", text)


@pytest.mark.parametrize("name", BLOCKS)
def test_readme_block_is_up_to_date(name: str) -> None:
    text = README.read_text()
    hint = "run: python tests/test_docs.py --write"
    assert _with_block(text, name, BLOCKS[name]()) == text, hint


def test_blocks_name_everything() -> None:
    assert "nbtrack.load_model" in functions()
    assert "report [--title TITLE] [PATH]" in magics()
    assert "nbtrack runs list" in commands()
    assert "| 130 | interrupted by Ctrl-C |" in statuses()
    assert "NBTRACK_DB" in settings()
    assert "`metric_history`" in views()


@pytest.mark.parametrize(
    "path",
    [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"],
    ids=lambda p: p.name,
)
def test_files_named_in_documents_exist(path: Path) -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", path.read_text())
    build_output = {"nbtrack/static/"}
    missing = [
        name
        for name in named
        if name not in build_output
        and not (ROOT / name).exists()
        and not (ROOT / "nbtrack" / name).exists()
        and "<" not in name
    ]
    assert missing == []


def test_architecture_names_every_unit() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    units = {
        path.stem
        for path in (ROOT / "nbtrack").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
    }
    assert {unit for unit in units if not re.search(rf"\b{unit}\b", text)} == set()


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_docs.py --write")
    text = README.read_text()
    for block, make in BLOCKS.items():
        text = _with_block(text, block, make())
    README.write_text(text)
