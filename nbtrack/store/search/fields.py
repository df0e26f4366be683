"""Which fields a search knows: one table per kind of thing that is searched. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from nbtrack.store.search.tree import Entity


class Type(Enum):
    """What a field is compared with."""

    TEXT = "a text in quotes"
    NUMBER = "a number"
    ID = "an id, in quotes or not"  # compared as text
    VERSION = "a number, in quotes or not"


_ORDERED = ("=", "!=", "<", "<=", ">", ">=")
_NUMBER = (*_ORDERED, "IN", "BETWEEN")
_TEXT = ("=", "!=", "LIKE", "ILIKE", "RLIKE", "IN")
OPERATORS: Mapping[Type, tuple[str, ...]] = {
    Type.TEXT: _TEXT,
    Type.ID: _TEXT,
    Type.NUMBER: _NUMBER,
    Type.VERSION: _NUMBER,
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute, or a key of a dataset."""

    name: str
    type: Type = Type.TEXT
    aliases: tuple[str, ...] = ()
    nullable: bool = False


def _table(*attributes: Attribute) -> Mapping[str, Attribute]:
    return {name: a for a in attributes for name in (a.name, *a.aliases)}


_ATTRIBUTES = dict.fromkeys(("attributes", "attribute", "attr"), Entity.ATTRIBUTE)
_METRICS = dict.fromkeys(("metrics", "metric"), Entity.METRIC)
_PARAMS = dict.fromkeys(("params", "param", "parameters", "parameter"), Entity.PARAM)
_TAGS = dict.fromkeys(("tags", "tag"), Entity.TAG)
_DATASETS = dict.fromkeys(("dataset", "datasets"), Entity.DATASET)

# A run may have several datasets, or none: then all of its keys are NULL.
DATASET = _table(
    Attribute("name", nullable=True),
    Attribute("digest", nullable=True),
    Attribute("context", nullable=True),
)


@dataclass(frozen=True, slots=True)
class Searched:
    """A kind of thing that is searched: its entities and keys, by every spelling."""

    name: str
    entities: Mapping[str, Entity]
    attributes: Mapping[str, Attribute] = field(repr=False)


RUNS = Searched(
    "runs",
    _METRICS | _PARAMS | _TAGS | _ATTRIBUTES | {"run": Entity.ATTRIBUTE} | _DATASETS,
    _table(
        Attribute("run_id"),
        Attribute("run_name", aliases=("run name", "Run name", "Run Name")),
        Attribute("status"),
        Attribute("start_time", Type.NUMBER, ("created", "Created")),
        Attribute("end_time", Type.NUMBER, nullable=True),
        Attribute("user_id", aliases=("User",)),
        Attribute("artifact_uri"),
        # beyond MLflow
        Attribute("duration_ms", Type.NUMBER, nullable=True),
        Attribute("experiment_id", Type.ID),
        Attribute("experiment_name"),
        Attribute("parent_run_id", nullable=True),
        Attribute("notebook", nullable=True),
    ),
)
EXPERIMENTS = Searched(
    "experiments",
    _ATTRIBUTES | _TAGS,
    _table(
        Attribute("name"),
        Attribute("experiment_id", Type.ID),
        Attribute("creation_time", Type.NUMBER),
        Attribute("last_update_time", Type.NUMBER),
    ),
)
REGISTERED_MODELS = Searched(
    "registered models",
    _ATTRIBUTES | _TAGS,
    _table(
        Attribute("name"),
        Attribute("creation_timestamp", Type.NUMBER),
        Attribute("last_updated_timestamp", Type.NUMBER, ("timestamp",)),
    ),
)
MODEL_VERSIONS = Searched(
    "model versions",
    _ATTRIBUTES | _TAGS,
    _table(
        Attribute("name"),
        Attribute("version_number", Type.VERSION),
        Attribute("run_id", nullable=True),
        Attribute("source_path"),
        Attribute("creation_timestamp", Type.NUMBER),
        Attribute("last_updated_timestamp", Type.NUMBER),
    ),
)
LOGGED_MODELS = Searched(
    "logged models",
    _METRICS | _PARAMS | _TAGS | _ATTRIBUTES,
    _table(
        Attribute("name"),
        Attribute("model_id"),
        Attribute("model_type", nullable=True),
        Attribute("status"),
        Attribute("source_run_id", nullable=True),
        Attribute("experiment_id", Type.ID),
        Attribute("creation_timestamp", Type.NUMBER, ("creation_time",)),
        Attribute("last_updated_timestamp", Type.NUMBER, ("last_updated_time",)),
    ),
)
KEYED: Mapping[Entity, Attribute] = {
    Entity.METRIC: Attribute("metrics", Type.NUMBER, nullable=True),
    Entity.PARAM: Attribute("params", nullable=True),
    Entity.TAG: Attribute("tags", nullable=True),
}
