"""Which field a key names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nbtrack.store.search.fields import DATASET, KEYED, Attribute, Searched
from nbtrack.store.search.syntax import Part, Text, Token, shortened
from nbtrack.store.search.tree import AGGREGATES, Entity, Field


def find_field(token: Token, text: Text, searched: Searched) -> tuple[Field, Attribute]:
    """Return the field that a path names, and what is known of it.

    Raises
    ------
    InvalidParameterError
        There is none.
    """
    first, *rest = token.parts
    if not rest:
        return _named(Entity.ATTRIBUTE, first, text, searched)
    entity = searched.entities.get(first.text)
    if entity is None:
        raise text.problem(
            first.position,
            f"{searched.name} have no {shortened(first.text)!r}",
            _suggestion(first.text, searched.entities)
            or f"They have {_listed(searched.entities.values())}.",
        )
    if entity is Entity.METRIC:
        return _metric(text, rest), KEYED[entity]
    key = _joined(text, rest)
    if entity in KEYED:
        return Field(entity, key), KEYED[entity]
    return _named(entity, Part(key, "", rest[0].position), text, searched)


def key_hint(searched: Searched) -> str:
    """Return how keys are written."""
    if Entity.METRIC in searched.entities.values():
        return "A metric is metrics.<key>, a param params.<key>, a tag tags.<key>."
    return "A tag is tags.<key>."


def _named(entity: Entity, part: Part, text: Text, searched: Searched) -> tuple[Field, Attribute]:
    is_dataset = entity is Entity.DATASET
    table = DATASET if is_dataset else searched.attributes
    attribute = table.get(part.text)
    if attribute is None:
        names = _listed(a.name for a in table.values())
        raise text.problem(
            part.position,
            f"{'datasets' if is_dataset else searched.name} have no attribute"
            f" {shortened(part.text)!r}",
            _suggestion(part.text, table) or f"{key_hint(searched)} Attributes are {names}.",
        )
    return Field(entity, attribute.name), attribute


def _metric(text: Text, parts: Sequence[Part]) -> Field:
    """Return a metric, with the aggregate that may stand behind its key."""
    first, *rest = parts
    if not rest:
        return Field(Entity.METRIC, first.text)
    last = rest[-1]
    is_aggregate = last.text in AGGREGATES and not last.quote
    if not first.quote:
        if is_aggregate:
            key = _joined(text, parts[:-1])
            return Field(Entity.METRIC, key, last.text, literal_first=True)
        return Field(Entity.METRIC, _joined(text, parts))
    if is_aggregate and len(rest) == 1:
        return Field(Entity.METRIC, first.text, last.text)
    raise text.problem(
        rest[0].position,
        f"one of {', '.join(AGGREGATES)} was expected, not {shortened(rest[0].text)!r}",
        'For example metrics."val acc".max > 0.9.',
    )


def _joined(text: Text, parts: Sequence[Part]) -> str:
    if len(parts) > 1:
        for part in parts:
            if part.quote:
                raise text.problem(
                    part.position,
                    "only part of the key is in quotes",
                    'Quote all of the key: params."a b.c".',
                )
    return ".".join(part.text for part in parts)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(str(name) for name in names))


def _suggestion(name: str, known: Iterable[str]) -> str | None:
    import difflib  # only an error needs it

    close = difflib.get_close_matches(name[:50].lower(), [*known], 1, 0.7)
    return f"Do you mean {close[0]}?" if close else None
