"""``nbtrack`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nbtrack import htmlview
from nbtrack._version import __version__
from nbtrack.datasource import DataSource, model_json, run_json
from nbtrack.errors import InvalidParameterError, NbtrackError
from nbtrack.settings import Settings, settings
from nbtrack.store.views import describe_views
from nbtrack.tracking import Client
from nbtrack.transfer import MergeReport


class _Errors(click.Group):
    """A group whose commands show nbtrack's errors as a sentence and exit with status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except NbtrackError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Errors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nbtrack")
@click.option("--db", metavar="PATH", help="The database; default: NBTRACK_DB, else the nearest.")
@click.pass_context
def main(ctx: click.Context, db: str | None) -> None:
    """Experiment tracking in one SQLite file."""
    ctx.obj = db


def _client(db: str | None) -> Client:
    client = Client(db)
    if not client.path.exists():
        raise NbtrackError(
            f"There is no database {client.path}.",
            hint="Name one by --db, or make it: %load_ext nbtrack in a notebook, then fit a model.",
        )
    return client


_json_option: Callable[..., Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for other programs."
)


def _show_views(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(describe_views())
        ctx.exit()


@main.group()
def runs() -> None:
    """Look at runs."""


@runs.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--experiment", "experiments", multiple=True, help="Only this one; may be repeated.")
@click.option("--filter", "filter_string", default="", help="Such as 'metrics.acc > 0.9'.")
@click.option(
    "--order-by", "order_by", multiple=True, help="Such as 'metrics.acc DESC'; may be repeated."
)
@_json_option
@click.pass_obj
def list_runs(
    db: str | None,
    *,
    count: int,
    experiments: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the runs, newest first or in another order."""
    found = _client(db).search_runs(
        filter_string=filter_string,
        max_results=count,
        order_by=order_by,
        experiment_names=experiments or None,
    )
    if as_json:
        click.echo(json.dumps([run_json(run, []) for run in found], indent=1))
        return
    metrics = sorted({key for run in found for key in run.data.metrics})[:4]
    rows = [
        [
            run.info.run_id[:8],
            run.info.run_name,
            run.data.tags.get("estimator_name", ""),
            run.info.status,
            htmlview.format_time(run.info.start_time),
            htmlview.format_duration(run.info.duration_ms),
            *(
                htmlview.format_number(run.data.metrics[key]) if key in run.data.metrics else "–"
                for key in metrics
            ),
        ]
        for run in found
    ]
    header = ["id", "name", "estimator", "status", "started", "duration", *metrics]
    click.echo(htmlview.text_table(rows, header))


@runs.command("show")
@click.argument("run")
@click.pass_obj
def show_run(db: str | None, run: str) -> None:
    """Print all that is known of a RUN (id, beginning of an id, or name) as JSON."""
    click.echo(json.dumps(DataSource(_client(db)).run_details(run), indent=1))


@main.command("sql")
@click.argument("query")
@click.option(
    "--views",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_views,
    help="Print the views and their columns.",
)
@_json_option
@click.pass_obj
def run_sql(db: str | None, query: str, as_json: bool) -> None:
    """Print what a SELECT gives: QUERY reads the views runs, params, metrics ..."""
    frame = _client(db).sql(query)
    if as_json:
        if not frame.columns.is_unique:
            raise InvalidParameterError(
                f"Two columns of {query!r} have the same name.", hint="Name them by AS."
            )
        click.echo(frame.to_json(orient="records", indent=1))
        return
    rows = [
        ["–" if value is None else str(value) for value in row] for row in frame.values.tolist()
    ]
    click.echo(htmlview.text_table(rows, [str(name) for name in frame.columns]))


@main.group()
def models() -> None:
    """Look at registered models, and add to them."""


@models.command("list")
@_json_option
@click.pass_obj
def list_models(db: str | None, as_json: bool) -> None:
    """List the registered models and their versions."""
    found = _client(db).search_registered_models()
    if as_json:
        click.echo(json.dumps([model_json(model) for model in found], indent=1))
        return
    rows = [
        [
            version.name,
            str(version.version),
            version.run_name or "",
            htmlview.format_time(version.creation_timestamp),
            version.user_id,
        ]
        for model in found
        for version in model.versions
    ]
    click.echo(htmlview.text_table(rows, ["model", "version", "run", "registered", "by"]))


@models.command("register")
@click.argument("run")
@click.argument("name")
@click.pass_obj
def register_model(db: str | None, run: str, name: str) -> None:
    """Make the next version of the registered model NAME from the model of a RUN."""
    version = _client(db).register_model(run, name)
    click.echo(f"Registered {version.name} version {version.version}.")


@main.command("report")
@click.argument("path", type=click.Path(path_type=Path), default="nbtrack-report.html")
@click.option("--title", help="Heading of the report.")
@click.option("--run", "run_names", multiple=True, help="Only this run; may be repeated.")
@click.pass_obj
def report_command(
    db: str | None, path: Path, title: str | None, run_names: tuple[str, ...]
) -> None:
    """Write one HTML file that opens offline."""
    from nbtrack.report import write_report

    written = write_report(path, runs=run_names or None, title=title, client=_client(db))
    size = htmlview.format_size(written.stat().st_size)
    click.echo(f"The report is in {written} ({size}).")


@main.command("merge")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_context
def merge_command(ctx: click.Context, sources: tuple[Path, ...], *, dry_run: bool) -> None:
    """Bring all that the databases SOURCES have into this one; again changes nothing."""
    client = _client(ctx.obj) if dry_run else Client(ctx.obj)
    whole = True
    for source in sources:
        report = client.merge(source, dry_run=dry_run)
        whole &= _show_transfer(f"{source}{' (nothing was written)' if dry_run else ''}", report)
    ctx.exit(0 if whole else 1)


@main.command("export")
@click.argument("run_names", metavar="[RUNS]...", nargs=-1)
@click.argument("path", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--experiment", "experiments", multiple=True, help="All its runs; may be repeated.")
@click.pass_context
def export_command(
    ctx: click.Context, run_names: tuple[str, ...], path: Path, *, experiments: tuple[str, ...]
) -> None:
    """Bring RUNS, their children and all they refer to into the database OUT."""
    report = _client(ctx.obj).export(run_names, path, experiment_names=experiments)
    ctx.exit(0 if _show_transfer(str(path), report) else 1)


def _show_transfer(where: str, report: MergeReport) -> bool:
    """Print what was brought over; return whether nothing was left out."""
    _say(
        f"{where}: {_count(len(report.added), 'run')} added, {len(report.updated)} brought up to "
        f"date, {report.unchanged} unchanged; {_count(report.files, 'file')} "
        f"({htmlview.format_size(report.bytes)})."
    )
    for made in report.versions:
        was = f", {made.source_version} there" if made.source_version != made.version else ""
        _say(f"Model {made.name}: version {made.version}{was}.")
    for sentence in report.conflicts:
        _say(sentence)
    for sentence in report.problems:
        _say(sentence, err=True)
    return not report.problems


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _say(text: str, *, err: bool = False) -> None:
    """Print a sentence that may hold names out of another file: they cannot steer the terminal."""
    click.echo(htmlview.clip("".join(c if c.isprintable() else " " for c in text), 500), err=err)


@main.command("config")
def config() -> None:
    """List the settings: their values, environment variables and meaning."""
    rows = [
        [setting.name, repr(getattr(settings, setting.name)), setting.env, setting.help]
        for setting in Settings.table()
    ]
    for name, value, env, help_text in rows:
        click.echo(f"{name} = {value}\n    {help_text}\n    Environment: {env}")
