"""The one table of settings, and the object they are read from.

A setting is taken, in this order, from code or ``%config NBTrack.<name>``, from its environment
variables (nbtrack's own before MLflow's), and from its default. The
table serves ``%config``, the environment, ``nbtrack config`` and the README, so that what is
documented is what there is.
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


def _parse_seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("use a number of seconds above 0")
    return value


def _parse_count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("use a whole number from 1")
    return value


def _parse_size(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("use a whole number that is not negative")
    return value


def _parse_address(text: str) -> str:
    from nbtrack.addresses import check_address

    try:
        return check_address(text) if text else ""
    except InvalidParameterError as error:
        raise ValueError(error.message.rstrip(".")) from None


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
    also
        Other environment variables that are asked when the first one is not set: MLflow's.
    """

    name: str
    env: str
    default: T
    parse: Callable[[str], T]
    help: str
    choices: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that are asked, the one that counts first."""
        return (self.env, *self.also)

    def variable(self) -> str | None:
        """Return the environment variable that is set, of those that are asked; or None."""
        for name in (self.env, *self.also):
            if name in os.environ:
                return name
        return None

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
        variable = self.variable()
        return self.default if variable is None else self.check(os.environ[variable])

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
        also=("NBTRACK_TRACKING_URI", "MLFLOW_TRACKING_URI"),
    )
    experiment = Setting(
        "experiment",
        "NBTRACK_EXPERIMENT_NAME",
        "Default",
        _parse_text,
        "Experiment that new runs belong to.",
        also=("MLFLOW_EXPERIMENT_NAME",),
    )
    experiment_id = Setting(
        "experiment_id",
        "NBTRACK_EXPERIMENT_ID",
        "",
        _parse_text,
        "The same by its id, where no name is given.",
        also=("MLFLOW_EXPERIMENT_ID",),
    )
    run_id = Setting(
        "run_id",
        "NBTRACK_RUN_ID",
        "",
        _parse_text,
        "Run that the first start_run continues; the variable is unset by it.",
        also=("MLFLOW_RUN_ID",),
    )
    entry_point = Setting(
        "entry_point",
        "NBTRACK_PROJECT_ENTRY_POINT",
        "",
        _parse_text,
        "Entry point of the project that runs; noted in the tags of every run.",
        also=("MLFLOW_PROJECT_ENTRY_POINT",),
    )
    system_metrics = Setting(
        "system_metrics",
        "NBTRACK_ENABLE_SYSTEM_METRICS_LOGGING",
        False,
        _parse_bool,
        "Measure CPU, memory, disk, network and GPUs while a run of start_run goes on.",
        also=("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING",),
    )
    system_metrics_interval = Setting(
        "system_metrics_interval",
        "NBTRACK_SYSTEM_METRICS_SAMPLING_INTERVAL",
        10.0,
        _parse_seconds,
        "Seconds from one measurement of the system to the next.",
        also=("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL",),
    )
    system_metrics_samples = Setting(
        "system_metrics_samples",
        "NBTRACK_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING",
        1,
        _parse_count,
        "How many measurements of the system are averaged for one point.",
        also=("MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING",),
    )
    system_metrics_node_id = Setting(
        "system_metrics_node_id",
        "NBTRACK_SYSTEM_METRICS_NODE_ID",
        "",
        _parse_text,
        "Which of several machines this is: becomes a part of the names of system metrics.",
        also=("MLFLOW_SYSTEM_METRICS_NODE_ID",),
    )
    card = Setting(
        "card",
        "NBTRACK_CARD",
        "full",
        _parse_text,
        "What stands below a cell that made runs: full (a card), line (one line of text), off.",
        ("full", "line", "off"),
    )
    artifact_file_mb = Setting(
        "artifact_file_mb",
        "NBTRACK_ARTIFACT_FILE_MB",
        100,
        _parse_size,
        "A content larger than this many megabytes is kept as a file beside the database.",
    )
    artifact_location = Setting(
        "artifact_location",
        "NBTRACK_ARTIFACT_LOCATION",
        "",
        _parse_address,
        "Where such large contents are brought: an address of fsspec, as s3://bucket/folder; "
        "empty: they stay there.",
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
    gradient_norm = Setting(
        "gradient_norm",
        "NBTRACK_GRADIENT_NORM",
        False,
        _parse_bool,
        "Log the norm of all gradients at each step of a plain PyTorch loop.",
    )
    best_model_mb = Setting(
        "best_model_mb",
        "NBTRACK_BEST_MODEL_MB",
        256,
        _parse_size,
        "Keep the best epoch's state of a PyTorch model up to so many megabytes, too; 0: none.",
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
        "What may wait in the journal, while the database cannot be written, in megabytes.",
    )

    server_timeout = Setting(
        "server_timeout",
        "NBTRACK_HTTP_REQUEST_TIMEOUT",
        30.0,
        _parse_seconds,
        "Seconds that a tracking server may take for an answer.",
        also=("MLFLOW_HTTP_REQUEST_TIMEOUT",),
    )
    server_retries = Setting(
        "server_retries",
        "NBTRACK_HTTP_REQUEST_MAX_RETRIES",
        3,
        _parse_size,
        "How often a question to a tracking server is asked again, where it fails or is overrun.",
        also=("MLFLOW_HTTP_REQUEST_MAX_RETRIES",),
    )
    server_insecure_tls = Setting(
        "server_insecure_tls",
        "NBTRACK_TRACKING_INSECURE_TLS",
        False,
        _parse_bool,
        "Do not check who a tracking server is: its certificate may be anybody's.",
        also=("MLFLOW_TRACKING_INSECURE_TLS",),
    )
    server_cert = Setting(
        "server_cert",
        "NBTRACK_TRACKING_SERVER_CERT_PATH",
        "",
        _parse_text,
        "File of certificates that a tracking server's is checked by; empty: the usual ones.",
        also=("MLFLOW_TRACKING_SERVER_CERT_PATH",),
    )
    client_cert = Setting(
        "client_cert",
        "NBTRACK_TRACKING_CLIENT_CERT_PATH",
        "",
        _parse_text,
        "File with certificate and key that a tracking server knows this user by.",
        also=("MLFLOW_TRACKING_CLIENT_CERT_PATH",),
    )

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def is_chosen(self, name: str) -> bool:
        """Return whether code, and not the environment, said what a setting is."""
        return name in self.values

    def reset(self, name: str) -> None:
        """Forget what code said of a setting: environment and default count again."""
        self.values.pop(name, None)

    @classmethod
    def table(cls) -> Iterator[Setting[Any]]:
        """Yield every setting, by name."""
        rows = [value for value in vars(cls).values() if isinstance(value, Setting)]
        yield from sorted(rows, key=lambda row: row.name)


settings = Settings()
