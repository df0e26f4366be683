"""The one table of settings, and the object they are read from.

A setting is taken, in this order, from code or ``%config NBTrack.<name>``, from its environment
variable, and from its default. The table serves ``%config``, the environment, ``nbtrack config``
and the README, so that what is documented is what there is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from nbtrack.errors import InvalidParameterError

T = TypeVar("T")
_UNSET: Any = object()


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("use one of 1, true, yes, on, 0, false, no, off")


def _parse_text(text: str) -> str:
    return text


def _parse_size(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("use a whole number that is not negative")
    return value


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One row of the table; as a class attribute of `Settings` it is also the accessor.

    Parameters
    ----------
    name
        Attribute of `Settings`, and of ``%config NBTrack``.
    env
        Environment variable.
    default
        Value when nobody says otherwise.
    parse
        Text to value; raises ValueError with what would be accepted.
    help
        One sentence for people.
    choices
        The accepted words, where there are only some.
    """

    name: str
    env: str
    default: T
    parse: Callable[[str], T]
    help: str
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> T:
        """Return `value` as this setting holds it.

        Raises
        ------
        InvalidParameterError
            The value has the wrong type, or is none of the choices.
        """
        try:
            parsed = self.parse(value if isinstance(value, str) else str(value))
        except ValueError as error:
            raise InvalidParameterError(
                f"{value!r} is no value for the setting '{self.name}': {error}.",
                hint=f"{self.help} Default: {self.default!r}.",
            ) from None
        if self.choices and parsed not in self.choices:
            raise InvalidParameterError(
                f"{value!r} is no value for the setting '{self.name}': "
                f"use one of {', '.join(self.choices)}.",
                hint=self.help,
            )
        return parsed

    @overload
    def __get__(self, owner: None, cls: type) -> Setting[T]: ...
    @overload
    def __get__(self, owner: Settings, cls: type) -> T: ...
    def __get__(self, owner: Settings | None, cls: type) -> Setting[T] | T:
        if owner is None:
            return self
        value = owner.values.get(self.name, _UNSET)
        if value is not _UNSET:
            return value  # type: ignore[no-any-return]  # checked by __set__
        text = os.environ.get(self.env)
        return self.default if text is None else self.check(text)

    def __set__(self, owner: Settings, value: Any) -> None:
        owner.values[self.name] = self.check(value)


class Settings:
    """The settings in force. Use the one instance, `settings`.

    Examples
    --------
    >>> from nbtrack.settings import Settings
    >>> mine = Settings()
    >>> mine.card = "off"
    >>> mine.card
    'off'
    """

    db = Setting(
        "db",
        "NBTRACK_DB",
        "",
        _parse_text,
        "Path of the database; empty: the nearest nbtrack.db from the working directory upwards.",
    )
    experiment = Setting(
        "experiment",
        "NBTRACK_EXPERIMENT_NAME",
        "Default",
        _parse_text,
        "Experiment that new runs belong to.",
    )
    card = Setting(
        "card",
        "NBTRACK_CARD",
        "full",
        _parse_text,
        "What stands below a cell that made runs: full (a card), line (one line of text), off.",
        ("full", "line", "off"),
    )
    log_models = Setting(
        "log_models",
        "NBTRACK_LOG_MODELS",
        True,
        _parse_bool,
        "Keep the fitted model of every run.",
    )
    log_datasets = Setting(
        "log_datasets",
        "NBTRACK_LOG_DATASETS",
        True,
        _parse_bool,
        "Keep name, shape, schema and fingerprint of the data of every run (never the data).",
    )
    log_cells = Setting(
        "log_cells",
        "NBTRACK_LOG_CELLS",
        True,
        _parse_bool,
        "Keep the source of executed cells, secrets redacted.",
    )
    max_model_mb = Setting(
        "max_model_mb",
        "NBTRACK_MAX_MODEL_MB",
        512,
        _parse_size,
        "A model whose pickle is larger than this many megabytes is left out, with a notice.",
    )
    max_pending_mb = Setting(
        "max_pending_mb",
        "NBTRACK_MAX_PENDING_MB",
        1024,
        _parse_size,
        "Memory that records may take while the database cannot be written, in megabytes.",
    )

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def reset(self, name: str) -> None:
        """Forget what code said of a setting: environment and default count again."""
        self.values.pop(name, None)

    @classmethod
    def table(cls) -> Iterator[Setting[Any]]:
        """Yield every setting, by name."""
        rows = [value for value in vars(cls).values() if isinstance(value, Setting)]
        yield from sorted(rows, key=lambda row: row.name)


settings = Settings()
