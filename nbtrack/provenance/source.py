"""Who and what begins a run, as MLflow's tags: the user, the notebook or script, its commit."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

from nbtrack.provenance.cells import notebook
from nbtrack.provenance.git import git_state
from nbtrack.provenance.redaction import redact
from nbtrack.settings import settings

USER = "mlflow.user"
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"


def source_tags(user_id: str) -> dict[str, str]:
    """Return the tags that say where a run comes from; quick enough for every run.

    Parameters
    ----------
    user_id
        Who runs this process.

    Examples
    --------
    >>> source_tags("me")["mlflow.user"]
    'me'
    """
    in_notebook = bool(notebook) or "ipykernel.kernelapp" in sys.modules
    name = notebook[0] if notebook else (sys.argv[0] if sys.argv and sys.argv[0] else "<console>")
    tags = {
        USER: user_id,
        "mlflow.source.name": redact(name),
        "mlflow.source.type": "NOTEBOOK" if in_notebook else "LOCAL",
    }
    if settings.entry_point:
        tags["mlflow.project.entryPoint"] = settings.entry_point
    state = git_state(_folder(name, in_notebook))
    if state is not None:
        tags["mlflow.source.git.commit"] = state.commit
        if state.branch:
            tags["mlflow.source.git.branch"] = state.branch
        if state.url:
            tags["mlflow.source.git.repoURL"] = state.url
    return tags


def _folder(name: str, in_notebook: bool) -> Path:
    """Return the folder of a script or notebook; of a kernel and a console the working one."""
    try:
        found = None if in_notebook and not notebook else _folder_of(name)
        return found or Path.cwd()
    except (OSError, ValueError):  # the working directory has gone
        return Path("/")


@lru_cache(maxsize=8)
def _folder_of(name: str) -> Path | None:
    """Return the folder of a file, also once the working directory is another; None: no file."""
    file = Path(name)
    return file.absolute().parent if file.suffix and file.is_file() else None
