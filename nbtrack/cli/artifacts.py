"""Files of runs: listed, taken out, put in."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from nbtrack.cli.base import Failure, Group, answer, either, open_client, progress, table
from nbtrack.cli.completion import complete_run
from nbtrack.errors import InvalidParameterError, NotFoundError

if TYPE_CHECKING:
    from nbtrack.tracking import Client

_SLOWEST = 1_000_000  # bytes a second that a disk takes at least

_run_option = click.option(
    "-r", "--run-id", "run", metavar="RUN", required=True, shell_complete=complete_run
)
_into_option = click.option(
    "-a",
    "--artifact-path",
    metavar="PATH",
    help="The folder among the artifacts that it goes into.",
)


@click.group(cls=Group)
def artifacts() -> None:
    """Look at files of runs, take them out, put some in."""


@artifacts.command("list")
@either("run", "-r", "--run-id", metavar="RUN", complete=complete_run)
@click.option("-a", "--artifact-path", metavar="PATH", help="Only what is right below this folder.")
def list_artifacts(run: str, artifact_path: str | None) -> None:
    """List the files and folders of a RUN."""
    from nbtrack.htmlview import format_size

    found = open_client().list_artifacts(run, artifact_path)
    rows = [
        [f"{x.path}/" if x.is_dir else x.path, "" if x.is_dir else format_size(x.file_size or 0)]
        for x in found
    ]
    data = [{"path": x.path, "is_dir": x.is_dir, "file_size": x.file_size} for x in found]
    where = f"below {artifact_path}" if artifact_path else "with this run"
    empty = f"There are no files {where}. nbtrack artifacts log-artifact keeps one."
    answer(data, *table(rows, ["path", "size"], empty=empty))


@artifacts.command("download")
@click.option("-r", "--run-id", "run", metavar="RUN", shell_complete=complete_run)
@click.option("-a", "--artifact-path", metavar="PATH", help="A file or folder; default: all.")
@click.option(
    "-u", "--artifact-uri", "uri", metavar="URI", help="Instead: runs:/RUN/PATH or models:/NAME/1."
)
@click.option(
    "-d",
    "--dst-path",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder they go into; default: a new one.",
)
def download_artifacts(
    run: str | None, artifact_path: str | None, uri: str | None, target: Path | None
) -> None:
    """Take files of a run out, and print where they are."""
    from nbtrack.tracking.artifacts import download_artifacts as download
    from nbtrack.tracking.paths import inside

    if (run is None) == (uri is None):
        raise click.UsageError("Name the run by -r, or the artifact by -u.")
    client = open_client()
    if run is None:
        if artifact_path is not None:
            raise click.UsageError("-a belongs to -r: a URI has its path in it.")
        place = Path(download(uri, dst_path=target, tracking_uri=client.tracking_uri))
    else:
        place = _download(client, run, inside(artifact_path), target)
    answer({"path": str(place)}, str(place))


def _download(client: Client, run: str, path: str, target: Path | None) -> Path:
    """Take files out one by one, so that it can be told how far that is."""
    from nbtrack.tracking.artifacts import download_artifacts as download
    from nbtrack.tracking.paths import inside

    run_id = client.get_run(run).info.run_id
    files = client.workspace.artifacts.list(run_id, path)
    if path and not files:
        raise NotFoundError(
            f"The run {run_id} has no artifact {path!r}.",
            hint=f"nbtrack artifacts list {run_id[:8]} has all.",
        )
    folder = Path(tempfile.mkdtemp(prefix="nbtrack-") if target is None else target).absolute()
    above = PurePosixPath(path).parent if path else PurePosixPath()
    folder.mkdir(parents=True, exist_ok=True)
    with progress("download") as shown:
        done, total = 0, sum(file.size_bytes for file in files)
        for file in files:
            # A database can come from anywhere: its paths are checked before one is made.
            name = PurePosixPath(inside(file.path)).relative_to(above)
            download(
                run_id=run_id,
                artifact_path=file.path,
                dst_path=folder / name.parent,
                tracking_uri=client.tracking_uri,
            )
            done += file.size_bytes
            if shown:
                shown(done, total)
    return folder / PurePosixPath(path).name if path else folder


@artifacts.command("log-artifact")
@click.option(
    "-l", "--local-file", type=click.Path(path_type=Path), required=True, help="What is kept."
)
@_run_option
@_into_option
def log_artifact(local_file: Path, run: str, artifact_path: str | None) -> None:
    """Keep a file with a run."""
    if local_file.is_dir():
        raise InvalidParameterError(
            f"{str(local_file)!r} is a folder.", hint="nbtrack artifacts log-artifacts keeps one."
        )
    _log(local_file, run, artifact_path)


@artifacts.command("log-artifacts")
@click.option(
    "-l", "--local-dir", type=click.Path(path_type=Path), required=True, help="The folder."
)
@_run_option
@_into_option
def log_artifacts(local_dir: Path, run: str, artifact_path: str | None) -> None:
    """Keep all files in a folder, and in the folders in it, with a run."""
    if not local_dir.is_dir():
        raise NotFoundError(
            f"There is no folder {str(local_dir)!r}.",
            hint="nbtrack artifacts log-artifact keeps a file.",
        )
    _log(local_dir, run, artifact_path)


def _log(local: Path, run: str, artifact_path: str | None) -> None:
    """Keep files one by one: each is in the database before the next one is read."""
    from nbtrack.htmlview import format_count, format_size
    from nbtrack.tracking.paths import inside, local_files

    client = open_client()
    info = client.get_run(run).info
    files = local_files(local, inside(artifact_path))
    sizes = [file.stat().st_size for file, _ in files]
    done, total = 0, sum(sizes)
    with progress("log") as shown:
        for (file, path), size in zip(files, sizes, strict=True):
            client.log_artifact(info.run_id, file, path.rpartition("/")[0])
            client.flush(10 + size / _SLOWEST)
            done += size
            if shown:
                shown(done, total)
    answer(
        {"run_id": info.run_id, "paths": [path for _, path in files], "bytes": total},
        f"{format_count(len(files), 'file')} ({format_size(total)}) kept with {info.run_name} "
        f"({info.run_id[:8]}).",
    )


@artifacts.command("upload")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="At most so long.")
def upload_artifacts(timeout: float | None) -> None:
    """Bring files to the address where they are to be, as far as they are not there yet."""
    from nbtrack.htmlview import format_count

    waiting = open_client().upload_artifacts(timeout)
    answer(
        {"waiting": waiting},
        f"{format_count(waiting, 'file')} still waiting." if waiting else "Nothing is waiting.",
    )
    if waiting:
        raise Failure(
            f"{format_count(waiting, 'file')} could not be brought to their address.",
            hint="They are beside the database, and go there when it can be reached.",
        )
