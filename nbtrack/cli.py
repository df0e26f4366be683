"""``nbtrack`` on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
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
from nbtrack.types import Experiment, ViewType


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
@click.option(
    "--db", metavar="PATH", help="Database or server; default: NBTRACK_DB, else the nearest."
)
@click.pass_context
def main(ctx: click.Context, db: str | None) -> None:
    """Experiment tracking in one SQLite file."""
    ctx.obj = db


def _client(db: str | None) -> Client:
    client = Client(db)
    if isinstance(client.place, Path) and not client.place.exists():
        raise NbtrackError(
            f"There is no database {client.place}.",
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
    """Look at runs, and put them into the trash."""


@runs.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--experiment", "experiments", multiple=True, help="Only this one; may be repeated.")
@click.option("--filter", "filter_string", default="", help="Such as 'metrics.acc > 0.9'.")
@click.option(
    "--order-by", "order_by", multiple=True, help="Such as 'metrics.acc DESC'; may be repeated."
)
@click.option("--trash", is_flag=True, help="Those in the trash, with their whole ids.")
@_json_option
@click.pass_obj
def list_runs(
    db: str | None,
    *,
    count: int,
    experiments: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    trash: bool,
    as_json: bool,
) -> None:
    """List the runs, newest first or in another order."""
    found = _client(db).search_runs(
        filter_string=filter_string,
        run_view_type=ViewType.DELETED_ONLY if trash else ViewType.ACTIVE_ONLY,
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
            run.info.run_id if trash else run.info.run_id[:8],
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


# -- the trash, and the archive as a whole


@runs.command("delete")
@click.argument("chosen", metavar="RUN...", nargs=-1, required=True)
@click.pass_obj
def delete_runs(db: str | None, chosen: tuple[str, ...]) -> None:
    """Put runs into the trash: each by id, beginning of an id, or name."""
    client = _client(db)
    found = [client.get_run(run).info for run in chosen]  # all of them are there, or none is moved
    for info in found:
        client.delete_run(info.run_id)
        click.echo(_line(f"In the trash: {info.run_name} ({info.run_id})."))


@runs.command("restore")
@click.argument("run_ids", metavar="RUN_ID...", nargs=-1, required=True)
@click.pass_obj
def restore_runs(db: str | None, run_ids: tuple[str, ...]) -> None:
    """Take runs out of the trash: each by its full id."""
    client = _client(db)
    found = [client.get_run(run).info for run in run_ids]
    for info in found:
        client.restore_run(info.run_id)
        click.echo(_line(f"Restored: {info.run_name} ({info.run_id})."))


@main.group()
def experiments() -> None:
    """Look at experiments, and put them into the trash."""


@experiments.command("list")
@click.option(
    "--view",
    type=click.Choice(["active_only", "deleted_only", "all"]),
    default="active_only",
    show_default=True,
    help="Whether those in the trash are meant.",
)
@_json_option
@click.pass_obj
def list_experiments(db: str | None, *, view: str, as_json: bool) -> None:
    """List the experiments, newest first."""
    found = _client(db).search_experiments(view_type=view.upper(), max_results=50_000)
    if as_json:
        click.echo(json.dumps([asdict(experiment) for experiment in found], indent=1))
        return
    rows = [
        [e.experiment_id, e.name, str(e.lifecycle_stage), htmlview.format_time(e.creation_time)]
        for e in found
    ]
    click.echo(htmlview.text_table(rows, ["id", "name", "stage", "made"]))


@experiments.command("delete")
@click.argument("experiment")
@click.pass_obj
def delete_experiment(db: str | None, experiment: str) -> None:
    """Put an EXPERIMENT (id or name) and its runs into the trash."""
    client = _client(db)
    found = _experiment(client, experiment)
    client.delete_experiment(found.experiment_id)
    click.echo(_line(f"In the trash: {found.name} (id {found.experiment_id})."))


@experiments.command("restore")
@click.argument("experiment")
@click.pass_obj
def restore_experiment(db: str | None, experiment: str) -> None:
    """Take an EXPERIMENT (id or name) and its runs out of the trash."""
    client = _client(db)
    found = _experiment(client, experiment)
    client.restore_experiment(found.experiment_id)
    click.echo(_line(f"Restored: {found.name} (id {found.experiment_id})."))


def _experiment(client: Client, text: str) -> Experiment:
    # A name goes first: an experiment may be called 2.
    return client.get_experiment_by_name(text) or client.get_experiment(text)


@main.group("db")
def database() -> None:
    """Keep the file in order."""


@database.command("check")
@click.pass_obj
def check_database(db: str | None) -> None:
    """Verify every digest, reference and point; the status is 1 if something is wrong."""
    client = _client(db)
    bar = _Percent()
    problems = client.check(bar if sys.stderr.isatty() else None)
    bar.clear()
    for problem in problems:
        click.echo(_line(problem.what))
        click.echo(_line(f"hint: {problem.hint}"))
    if problems:
        raise click.ClickException(f"{client.path}: {len(problems)} problems.")
    click.echo(f"{client.path}: everything is as it was stored.")


@database.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.option("--no-verify", is_flag=True, help="Keep the copy whatever is wrong with it.")
@click.pass_obj
def backup_database(db: str | None, target: Path, *, force: bool, no_verify: bool) -> None:
    """Copy the file to TARGET while others write, and check the copy."""
    client = _client(db)
    bar = _Percent()
    progress = bar if sys.stderr.isatty() else None
    written = client.backup(target, overwrite=force, verify=not no_verify, progress=progress)
    bar.clear()
    size = htmlview.format_size(written.stat().st_size)
    click.echo(_line(f"The backup is in {written} ({size})."))


@database.command("vacuum")
@click.pass_obj
def vacuum_database(db: str | None) -> None:
    """Give room that is free in the file, after gc say, back to the disk."""
    client = _client(db)
    done = client.vacuum()
    before, after = htmlview.format_size(done.before), htmlview.format_size(done.after)
    click.echo(_line(f"{client.path}: {before} before, {after} now."))
    if not done.is_done:
        click.echo("Somebody reads the file: it shrinks when they are done and somebody writes.")


class _Percent:
    """How far something is, on a terminal."""

    def __init__(self) -> None:
        self._shown = -1

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        if percent != self._shown:
            self._shown = percent
            click.echo(f"\r{percent} %", nl=False, err=True)

    def clear(self) -> None:
        """Wipe it away."""
        if self._shown >= 0:
            click.echo("\r     \r", nl=False, err=True)


@main.command("gc")
@click.option("--older-than", metavar="AGE", help="Only what is in the trash for so long: 30d, 8h.")
@click.option("--run-ids", metavar="IDS", help="Only these runs; ids with commas between them.")
@click.option("--experiment-ids", metavar="IDS", help="Only of these experiments, likewise.")
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would go.")
@click.pass_obj
def collect(
    db: str | None,
    *,
    older_than: str | None,
    run_ids: str | None,
    experiment_ids: str | None,
    dry_run: bool,
) -> None:
    """Delete for good what is in the trash, and what nothing refers to any more."""
    done = _client(db).gc(older_than, _ids(run_ids), _ids(experiment_ids), dry_run=dry_run)
    what = {
        "run": len(done.run_ids),
        "experiment": len(done.experiments),
        "artifact": done.artifacts,
        "blob": done.blobs,
        "dataset": done.datasets,
        "cell": done.cells,
        "shape": done.shapes,
    }
    counts = ", ".join(htmlview.format_count(number, name) for name, number in what.items())
    size = htmlview.format_size(done.nbytes)
    click.echo(f"{'Would delete' if dry_run else 'Deleted'}: {counts} ({size}).")
    for run in done.kept:
        click.echo(_line(f"Kept: {run.run_name} ({run.run_id}), because {run.reason}."))


def _ids(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _line(text: str) -> str:
    """Return text that moves no cursor: names come from anywhere."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


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
        [
            setting.name,
            repr(getattr(settings, setting.name)),
            ", ".join(setting.variables),
            setting.help,
        ]
        for setting in Settings.table()
    ]
    for name, value, env, help_text in rows:
        click.echo(f"{name} = {value}\n    {help_text}\n    Environment: {env}")
