"""What all commands share: their options, how they answer, how they fail.

A command is a function with ``@click.command(cls=Command)``, or ``@group.command()`` of a group
with ``cls=Group``; one row in the table of `nbtrack.cli` makes it known. It takes ``--db``,
``--json`` and ``--quiet`` without doing anything for it: `open_client` gives it the database,
`answer` prints what it found or did, `progress` shows how far it is. It raises nbtrack's errors,
or `Failure`; which status of the process that is, is in `STATUSES`.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from nbtrack.cli.tables import clean, lay_out, room
from nbtrack.errors import IntegrityError, NbtrackError, NotFoundError, StoreError

if TYPE_CHECKING:
    from nbtrack.store.maintenance import Progress
    from nbtrack.tracking import Client

DONE, INCOMPLETE, USAGE, NOT_FOUND, DATABASE = 0, 1, 2, 3, 4
INTERRUPTED, CLOSED = 130, 141  # as shells have it: 128, and the number of the signal

STATUSES = {
    DONE: "done",
    INCOMPLETE: "it failed, found something wrong, or left something out",
    USAGE: "the command line cannot be understood",
    NOT_FOUND: "there is no such database, run, experiment, artifact or model",
    DATABASE: "the database cannot be used: locked, damaged, read-only, of another program",
    INTERRUPTED: "interrupted by Ctrl-C",
    CLOSED: "whoever read the output has gone",
}
"""What the status of the process means."""

_PATIENCE_S = 0.5  # what is done sooner needs no bar

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@dataclass(slots=True)
class Options:
    """What was said by the options that all commands have."""

    db: str | None = None
    as_json: bool = False
    quiet: bool = False


def options() -> Options:
    """Return what was said by the options that all commands have."""
    return click.get_current_context().ensure_object(Options)


class Failure(click.ClickException):
    """Something that is no error of the library's: a sentence, perhaps a hint, and the status."""

    def __init__(self, message: str, *, hint: str | None = None, status: int = INCOMPLETE) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status


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
    """All commands: each is imported when it is used, and no error shows a traceback."""

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

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run what the arguments say, and end the process; the status is one of `STATUSES`."""
        run: Callable[..., Any] = super().main
        if not standalone_mode:
            return run(args, prog_name, complete_var, standalone_mode, **extra)
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in (given[: given.index("--")] if "--" in given else given)
        warnings.formatwarning = _warning
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a name may have letters that it has not
        try:
            status = run(args, prog_name, complete_var, standalone_mode=False, **extra) or DONE
        except click.ClickException as error:
            _tell(error, as_json=as_json)
            status = error.status if isinstance(error, Failure) else error.exit_code
        except click.Abort:
            _tell(Failure("Interrupted."), as_json=as_json)
            status = INTERRUPTED
        sys.exit(status)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except NbtrackError as error:
            raise Failure(error.message, hint=error.hint, status=_status(error)) from None
        except BrokenPipeError:
            # Python flushes once more as it ends, which would be told.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(CLOSED)
        except OSError as error:
            what = f"{error.strerror}: {error.filename}" if error.filename else str(error)
            raise Failure(f"The system refused: {what}.") from error


def _status(error: NbtrackError) -> int:
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    return DATABASE if isinstance(error, StoreError | IntegrityError) else INCOMPLETE


def _tell(error: click.ClickException, *, as_json: bool) -> None:
    """Say on stderr what went wrong."""
    hint = error.hint if isinstance(error, Failure) else None
    if as_json:
        from nbtrack.provenance import redact

        said = {"error": redact(error.format_message()), "hint": hint and redact(hint)}
        click.echo(json.dumps(said), err=True)
    elif isinstance(error, Failure):
        click.echo(_told(f"Error: {error.message}" + (f"\nhint: {hint}" if hint else "")), err=True)
    else:
        shown = io.StringIO()
        error.show(shown)  # with how the command is used
        click.echo(_told(shown.getvalue()), nl=False, err=True)


def _warning(message: Warning | str, *_where: object, **_line: object) -> str:
    """Return a warning as it is told: where in the code it came up is of no use here."""
    return f"{_told(str(message))}\n"


def _told(text: str) -> str:
    """Return sentences, on a line each, that move no cursor and have no password in them."""
    from nbtrack.provenance import redact

    return "\n".join(map(clean, redact(text).split("\n")))


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
            shell_complete=_files,
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


def _files(_ctx: click.Context, _option: click.Parameter, text: str) -> list[CompletionItem]:
    return [CompletionItem(text, type="file")]


def either(
    name: str, *flags: str, metavar: str, many: bool = False, complete: Complete | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command something that is named by its place, or by an option as MLflow has it.

    Parameters
    ----------
    name
        The parameter of the function: a text, or a tuple of them.
    flags
        The option's.
    metavar
        How the place is called.
    many
        Several may be named, and in both ways.
    complete
        Finds what the shell can complete it to.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.argument(
            "placed",
            metavar=f"{metavar}..." if many else metavar,
            nargs=-1 if many else 1,
            required=False,
            shell_complete=complete,
        )
        @click.option(
            *flags,
            "named",
            metavar="ID",
            multiple=many,
            help=f"The same as {metavar}.",
            shell_complete=complete,
        )
        @functools.wraps(function)
        def wrapper(*args: Any, placed: Any, named: Any, **kwargs: Any) -> Any:
            if placed in {None, ()} and named in {None, ()}:
                raise click.UsageError(f"Missing argument '{metavar}'.")
            if many:
                return function(*args, **kwargs, **{name: (*placed, *named)})
            if placed is not None and named is not None:
                raise click.UsageError(f"{metavar} is named twice: {placed!r} and {named!r}.")
            return function(*args, **kwargs, **{name: named if placed is None else placed})

        return wrapper

    return decorate


view_option = click.option(
    "-v",
    "--view",
    type=click.Choice(["active_only", "deleted_only", "all"]),
    default="active_only",
    show_default=True,
    help="Whether those in the trash are meant.",
)


def open_client(*, make: bool = False) -> Client:
    """Return a client of the database that is meant.

    Parameters
    ----------
    make
        There need be none yet: the command may make it.

    Raises
    ------
    NotFoundError
        There is none.
    """
    from nbtrack.tracking import Client

    client = Client(options().db)
    if not make and isinstance(client.place, Path) and not client.place.exists():
        raise NotFoundError(
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
        click.echo(clean(text))


def table(rows: Iterable[Sequence[object]], header: Sequence[str], *, empty: str = "") -> list[str]:
    """Return the lines of a table, as wide as the terminal at most.

    Parameters
    ----------
    rows, header
        What is in it.
    empty
        What to say instead, if there are no rows.
    """
    rows = list(rows)
    return lay_out(rows, header, room()) if rows or not empty else [empty]


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

    tqdm.monitor_interval = 0  # no thread to look after a bar
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
