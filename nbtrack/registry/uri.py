"""``runs:/`` and ``models:/`` URIs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from nbtrack.errors import InvalidParameterError

LATEST = "latest"
STAGES = ("None", "Staging", "Production", "Archived")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class RunUri:
    """``runs:/<run>/<path>``: something among a run's artifacts."""

    run_id: str
    path: str


@dataclass(frozen=True, slots=True)
class ModelUri:
    """A version of a registered model: a number, ``latest``, ``@<alias>`` or a stage."""

    name: str
    version: int | str


@dataclass(frozen=True, slots=True)
class LoggedModelUri:
    """``models:/m-<id>``: a model by its own id."""

    model_id: str


def parse(  # noqa: PLR0911 - one for each form
    uri: str,
) -> RunUri | ModelUri | LoggedModelUri | None:
    """Return what a URI names; None if it is no ``runs:`` or ``models:`` URI (a path, say).

    Raises
    ------
    InvalidParameterError
        It has one of these schemes and not its form.

    Examples
    --------
    >>> parse("models:/iris/3")
    ModelUri(name='iris', version=3)
    >>> parse("models:/iris@champion")
    ModelUri(name='iris', version='@champion')
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in {"runs", "models"}:
        return None
    rest = unquote(rest.removeprefix("//").removeprefix("/"))
    if scheme == "runs":
        run, _, path = rest.partition("/")
        if run and (path := path.strip("/")):
            return RunUri(run, path)
        raise InvalidParameterError(f"{uri!r} is no run URI.", hint="Use runs:/<run id>/<path>.")
    if _MODEL_ID.fullmatch(rest):
        return LoggedModelUri(rest)
    name, at, alias = rest.partition("@")
    if at and name and alias and "/" not in rest:
        return ModelUri(name, f"@{alias}")
    name, _, version = rest.partition("/")
    if name and version.lower() == LATEST:
        return ModelUri(name, LATEST)
    if name and (stage := version.capitalize()) in STAGES:
        return ModelUri(name, stage)
    if name and version.isascii() and version.isdigit() and len(version) < len(str(2**63)):
        return ModelUri(name, int(version))
    raise InvalidParameterError(
        f"{uri!r} is no model URI.",
        hint="Use models:/<name>/<version>, models:/<name>/latest, models:/<name>/<stage>, "
        "models:/<name>@<alias> or models:/m-<id>.",
    )
