"""The functions of ``nbtrack.*`` that keep files with the active run, and read them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.tracking.fluent import default_client, operations, run_to_log_to
from nbtrack.tracking.fluent_experiments import experiment_in_use
from nbtrack.tracking.operations import RunOperations
from nbtrack.tracking.paths import AnyPath, inside

if TYPE_CHECKING:
    import pandas as pd


def log_artifact(
    local_path: AnyPath, artifact_path: AnyPath | None = None, run_id: str | None = None
) -> None:
    """Keep a file, or a folder under its own name, with the active run or another one.

    Parameters
    ----------
    local_path
        Where it is now; it is read in the call.
    artifact_path
        Folder among the artifacts that it goes into.
    run_id
        Another run.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such file; it, or the path, cannot be used.

    Examples
    --------
    >>> import nbtrack, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> nbtrack.set_tracking_uri(folder / "nbtrack.db")
    >>> _ = (folder / "notes.txt").write_text("hello")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.log_artifact(folder / "notes.txt", "texts")
    >>> [file.path for file in nbtrack.artifacts.list_artifacts(f"runs:/{run.run_id}/texts")]
    ['texts/notes.txt']
    """
    run_to_log_to(run_id).log_artifact(local_path, artifact_path)


def log_artifacts(
    local_dir: AnyPath, artifact_path: AnyPath | None = None, run_id: str | None = None
) -> None:
    """Keep all files in a folder, and in the folders in it, with the active run or another one.

    Examples
    --------
    >>> import nbtrack, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> nbtrack.set_tracking_uri(folder / "nbtrack.db")
    >>> (folder / "plots").mkdir()
    >>> _ = (folder / "plots" / "a.txt").write_text("hello")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_artifacts(folder / "plots")
    """
    run_to_log_to(run_id).log_artifacts(local_dir, artifact_path)


def log_text(text: str, artifact_file: AnyPath, run_id: str | None = None) -> None:
    """Keep a text as a file with the active run or another one.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_text("hello", "notes/a.txt")
    """
    run_to_log_to(run_id).log_text(text, artifact_file)


def log_dict(dictionary: Any, artifact_file: AnyPath, run_id: str | None = None) -> None:
    """Keep a dict or list as a file: YAML where the path ends in .yml or .yaml, else JSON.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_dict({"layers": [64, 32]}, "net.yaml")
    """
    run_to_log_to(run_id).log_dict(dictionary, artifact_file)


def log_figure(
    figure: Any, artifact_file: AnyPath, *, save_kwargs: Mapping[str, Any] | None = None
) -> None:
    """Keep a figure of matplotlib, plotly or altair with the active run.

    Parameters
    ----------
    artifact_file
        Its path; the extension says the format: .png, .svg, .pdf, .html ...
    save_kwargs
        Passed to the method of the library that saves it.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from matplotlib.figure import Figure
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_figure(Figure(), "plot.svg")
    """
    run_to_log_to().log_figure(figure, artifact_file, save_kwargs=save_kwargs)


def log_image(  # noqa: PLR0917 - MLflow's signature
    image: Any,
    artifact_file: AnyPath | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,
) -> RunOperations | None:
    """Keep an image with the active run, under a path or as one of a series.

    Parameters
    ----------
    image
        numpy array or torch tensor (H x W, H x W x 1, 3 or 4), PIL image, `nbtrack.Image`.
    artifact_file
        Its path; the extension says the format.
    key, step, timestamp
        Instead of a path: the series, and the place in it.

    Examples
    --------
    >>> import nbtrack, numpy, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_image(numpy.zeros((8, 8)), "black.png")
    ...     nbtrack.log_image(numpy.ones((8, 8)), key="white", step=3)
    """
    run = run_to_log_to()
    run.log_image(image, artifact_file, key, step, timestamp)
    return operations(run, synchronous)


def log_table(data: Any, artifact_file: AnyPath, run_id: str | None = None) -> None:
    """Keep a table as .json or .parquet; rows are appended to one that is there.

    Parameters
    ----------
    data
        Dict of lists or of scalars, or a DataFrame of pandas or polars.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_table({"question": ["1 + 1"], "answer": ["2"]}, "eval.json")
    ...     nbtrack.log_table({"question": ["2 + 2"], "answer": ["5"]}, "eval.json")
    >>> nbtrack.load_table("eval.json")["answer"].tolist()
    ['2', '5']
    """
    run_to_log_to(run_id).log_table(data, artifact_file)


def load_table(
    artifact_file: AnyPath,
    run_ids: Sequence[str] | None = None,
    extra_columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the tables that runs of the experiment in use have logged under a path, as one.

    Parameters
    ----------
    run_ids
        Only these runs.
    extra_columns
        Columns of `search_runs` that are added, such as ``run_id``.

    Raises
    ------
    NotFoundError
        No run has such a table.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_table({"x": [1, 2]}, "t.json")
    >>> nbtrack.load_table("t.json")["x"].tolist()
    [1, 2]
    """
    experiment = experiment_in_use()
    return default_client().load_table(
        experiment.experiment_id, artifact_file, run_ids, extra_columns
    )


def get_artifact_uri(artifact_path: AnyPath | None = None) -> str:
    """Return the URI of the artifacts of the active run, or of one of them.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.get_artifact_uri("a/b.txt") == f"runs:/{run.run_id}/a/b.txt"
    True
    """
    path = inside(artifact_path).replace("%", "%25")
    return f"{run_to_log_to().artifact_uri}/{path}".rstrip("/")
