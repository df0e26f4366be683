"""What all commands share: their options, how they answer, how they fail.

A command is a function with ``@click.command(cls=Command)``, or ``@group.command()`` of a group
with ``cls=Group``; one row in the table of `nbtrack.cli` makes it known. It takes ``--db``,
``--json`` and ``--quiet`` without doing anything for it: `open_client` gives it the database,
`answer` prints what it found or did, `progress` shows how far it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbtrack.errors import NbtrackError

if TYPE_CHECKING:
    from nbtrack.store.maintenance import Progress
    from nbtrack.tracking import Client

_PATIENCE_S = 0.5  # what is done sooner needs no bar


@dataclass(slots=True)
class Options:
    """What was said by the options that all commands have."""

    db: str | None = None
    as_json: bool = False
    quiet: bool = False


def options() -> Options:
    """Return what was said by the options that all commands have."""
    return click.get_current_context().ensure_object(Options)


def _common_options() -> list[click.Parameter]:
    def note(ctx: click.Context, option: click.Parameter, value: Any) -> None:
        if value:  # else what was said before the command's name stays
            setattr(ctx.ensure_object(Options), str(option.name), value)

    return [
        click.Option(
            ["--db"],
            metavar="PATH",
            help="Database or server; default: NBTRACK_DB, else the nearest.",
            expose_value=False,
            callback=note,
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            help="Print JSON for other programs.",
            expose_value=False,
            callback=note,
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            help="Show no progress.",
            expose_value=False,
            callback=note,
        ),
    ]


class Command(click.Command):
    """A command that has the options that all have."""

    def __init__(
        self, name: str | None, *, params: list[click.Parameter] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name, params=[*(params or []), *_common_options()], **kwargs)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


class Main(Group):
    """All commands: each is imported when it is used, and errors are a sentence and a hint."""

    def __init__(
        self,
        name: str | None,
        *,
        places: Mapping[str, str],
        params: list[click.Parameter] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, params=[*(params or []), *_common_options()], **kwargs)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._places:
            return None
        module, _, name = self._places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"nbtrack.cli.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except NbtrackError as error:
            raise click.ClickException(str(error)) from None


def open_client(*, make: bool = False) -> Client:
    """Return a client of the database that is meant.

    Parameters
    ----------
    make
        There need be none yet: the command may make it.

    Raises
    ------
    NbtrackError
        There is none.
    """
    from nbtrack.tracking import Client

    client = Client(options().db)
    if not make and isinstance(client.place, Path) and not client.place.exists():
        raise NbtrackError(
            f"There is no database {client.place}.",
            hint="Name one by --db, or make it: %load_ext nbtrack in a notebook, then fit a model.",
        )
    return client


def answer(data: object, *lines: str) -> None:
    """Print the result: the data where JSON is asked for, else the lines."""
    if options().as_json:
        click.echo(json.dumps(data, indent=1, allow_nan=False))
        return
    for text in lines:
        click.echo(line(text))


def table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> list[str]:
    """Return the lines of a table."""
    from nbtrack.htmlview import text_table

    return text_table(rows, header).splitlines()


@contextmanager
def progress(what: str, unit: str = "B") -> Iterator[Progress | None]:
    """Give the work inside what it can call with how much is done, and of how much.

    A bar is shown on a terminal, if the work takes a while. Where nobody would see one there is
    nothing to call.

    Parameters
    ----------
    what
        What is going on.
    unit
        What is counted.
    """
    if options().quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(
        desc=what,
        unit=unit,
        unit_scale=True,
        unit_divisor=1024 if unit == "B" else 1000,
        leave=False,
        delay=_PATIENCE_S,
    ) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def line(text: str) -> str:
    """Return text that moves no cursor: names come from anywhere."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
