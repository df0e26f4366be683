"""The schema, as an append-only list of steps; no step is edited once it was released.

Every table and column is described where it is made, and SQLite keeps these comments: ``.schema``
in any SQLite tool shows them. ``sqlite_utils`` runs the steps and is imported only when a file
needs one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database

_FIRST = (
    """
    CREATE TABLE sessions ( -- one process (kernel, script) that wrote runs
        session_id    TEXT PRIMARY KEY,
        user_id       TEXT NOT NULL,     -- login name
        host          TEXT NOT NULL,
        machine       TEXT NOT NULL,     -- boot and pid namespace: where pid means something
        pid           INTEGER NOT NULL,
        process_start TEXT NOT NULL,     -- with pid, names one process for good
        notebook      TEXT,              -- path of the notebook or script, if known
        environment   TEXT NOT NULL,     -- JSON: Python, platform, versions of packages
        start_ms      INTEGER NOT NULL,
        heartbeat_ms  INTEGER NOT NULL   -- last sign of life
    ) STRICT
    """,
    """
    CREATE TABLE experiments (
        experiment_id    INTEGER PRIMARY KEY,
        name             TEXT NOT NULL UNIQUE,
        lifecycle_stage  TEXT NOT NULL DEFAULT 'active',  -- active, deleted
        creation_time    INTEGER NOT NULL,                -- ms since 1970 UTC, as all times here
        last_update_time INTEGER NOT NULL
    ) STRICT
    """,
    """
    INSERT INTO experiments (experiment_id, name, creation_time, last_update_time)
    SELECT 0, 'Default', now, now FROM (SELECT CAST(strftime('%s') AS INTEGER) * 1000 AS now)
    """,
    """
    CREATE TABLE cells ( -- sources of notebook cells, each kept once
        digest TEXT PRIMARY KEY,  -- sha256:<hex> of the redacted source
        source TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE cell_executions (
        execution_id    TEXT PRIMARY KEY,
        session_id      TEXT NOT NULL REFERENCES sessions,
        cell_digest     TEXT NOT NULL REFERENCES cells,
        cell_id         TEXT,              -- the notebook's own id of the cell
        execution_count INTEGER,           -- the number in In [n]
        start_ms        INTEGER NOT NULL,
        end_ms          INTEGER,
        outcome         TEXT               -- ok, error, interrupted; NULL: it did not end
    ) STRICT
    """,
    """
    CREATE TABLE runs (
        run_id          TEXT PRIMARY KEY,  -- 32 hex digits
        run_name        TEXT NOT NULL,
        experiment_id   INTEGER NOT NULL REFERENCES experiments,
        parent_run_id   TEXT REFERENCES runs,
        session_id      TEXT REFERENCES sessions,
        execution_id    TEXT,              -- the cell that made it
        status          TEXT NOT NULL,     -- RUNNING, SCHEDULED, FINISHED, FAILED, KILLED
        start_time      INTEGER NOT NULL,
        end_time        INTEGER,
        user_id         TEXT NOT NULL,
        lifecycle_stage TEXT NOT NULL DEFAULT 'active',
        error           TEXT               -- traceback of a failed run
    ) STRICT
    """,
    "CREATE INDEX runs_by_start ON runs (start_time DESC, run_id)",
    "CREATE INDEX runs_running ON runs (status) WHERE status = 'RUNNING'",
    "CREATE INDEX runs_by_name ON runs (run_name)",
    """
    CREATE TABLE params (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        key    TEXT NOT NULL,
        value  TEXT NOT NULL,
        PRIMARY KEY (run_id, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE tags (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        key    TEXT NOT NULL,
        value  TEXT NOT NULL,
        PRIMARY KEY (run_id, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE metrics ( -- summary of each metric, so that tables never read histories
        metric_id       INTEGER PRIMARY KEY,
        run_id          TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        key             TEXT NOT NULL,
        last            REAL,              -- NULL is NaN here and below: SQLite has no NaN
        last_step       INTEGER NOT NULL,
        last_timestamp  INTEGER NOT NULL,
        first           REAL,
        first_step      INTEGER NOT NULL,
        first_timestamp INTEGER NOT NULL,
        min             REAL,
        max             REAL,
        count           INTEGER NOT NULL,
        UNIQUE (run_id, key)
    ) STRICT
    """,
    """
    CREATE TABLE metric_points (
        metric_id INTEGER NOT NULL REFERENCES metrics ON DELETE CASCADE,
        step      INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        value     REAL               -- NULL is NaN
    ) STRICT
    """,
    "CREATE INDEX points_by_metric ON metric_points (metric_id, step, timestamp)",
    """
    CREATE TABLE datasets ( -- what is known of data; never the data
        dataset_id  INTEGER PRIMARY KEY,
        name        TEXT NOT NULL,
        digest      TEXT NOT NULL,  -- fingerprint, algorithm as prefix; empty: none
        source_type TEXT NOT NULL,  -- numpy, pandas, list ...
        schema      TEXT NOT NULL,  -- JSON
        profile     TEXT NOT NULL,  -- JSON: shape, bytes
        UNIQUE (name, digest, source_type, schema, profile)
    ) STRICT
    """,
    """
    CREATE TABLE run_inputs (
        run_id     TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        dataset_id INTEGER NOT NULL REFERENCES datasets,
        context    TEXT NOT NULL,   -- train, target, eval ...
        PRIMARY KEY (run_id, dataset_id, context)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE blobs ( -- bytes, each kept once
        digest     TEXT PRIMARY KEY,  -- sha256:<hex> of the bytes before compression
        size_bytes INTEGER NOT NULL,
        encoding   TEXT NOT NULL      -- raw, zstd
    ) STRICT
    """,
    """
    CREATE TABLE blob_chunks (
        digest TEXT NOT NULL REFERENCES blobs ON DELETE CASCADE,
        seq    INTEGER NOT NULL,
        data   BLOB NOT NULL,
        PRIMARY KEY (digest, seq)
    ) STRICT
    """,
    """
    CREATE TABLE artifacts ( -- files of a run
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        path   TEXT NOT NULL,       -- relative, with /
        digest TEXT NOT NULL REFERENCES blobs,
        PRIMARY KEY (run_id, path)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE models ( -- model directories among the artifacts of a run
        model_id      TEXT PRIMARY KEY,
        run_id        TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        artifact_path TEXT NOT NULL,
        flavor        TEXT NOT NULL,     -- sklearn ...
        model_class   TEXT NOT NULL,     -- module.Class
        size_bytes    INTEGER NOT NULL,
        created_ms    INTEGER NOT NULL,
        UNIQUE (run_id, artifact_path)
    ) STRICT
    """,
    """
    CREATE TABLE registered_models (
        name                   TEXT PRIMARY KEY,
        creation_timestamp     INTEGER NOT NULL,
        last_updated_timestamp INTEGER NOT NULL,
        last_version           INTEGER NOT NULL DEFAULT 0  -- numbers are never given twice
    ) STRICT
    """,
    """
    CREATE TABLE model_versions (
        name               TEXT NOT NULL REFERENCES registered_models,
        version            INTEGER NOT NULL,
        run_id             TEXT REFERENCES runs,
        source             TEXT NOT NULL,     -- runs:/<run id>/<artifact path>
        creation_timestamp INTEGER NOT NULL,
        user_id            TEXT NOT NULL,
        PRIMARY KEY (name, version)
    ) STRICT
    """,
    """
    CREATE TABLE model_aliases (
        name    TEXT NOT NULL,
        alias   TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (name, alias),
        FOREIGN KEY (name, version) REFERENCES model_versions
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE model_events ( -- audit trail of the registry: rows are only ever added
        event_id  INTEGER PRIMARY KEY,
        time_ms   INTEGER NOT NULL,
        user_id   TEXT NOT NULL,
        name      TEXT NOT NULL,
        version   INTEGER,
        event     TEXT NOT NULL,   -- what happened, in the past tense: registered ...
        details   TEXT NOT NULL    -- JSON
    ) STRICT
    """,
    """
    CREATE TRIGGER model_events_no_update BEFORE UPDATE ON model_events
    BEGIN SELECT RAISE(ABORT, 'the audit trail cannot be edited'); END
    """,
    """
    CREATE TRIGGER model_events_no_replace BEFORE INSERT ON model_events -- REPLACE is no UPDATE
    WHEN EXISTS (SELECT 1 FROM model_events WHERE event_id = NEW.event_id)
    BEGIN SELECT RAISE(ABORT, 'the audit trail cannot be edited'); END
    """,
    """
    CREATE TRIGGER model_events_no_delete BEFORE DELETE ON model_events
    BEGIN SELECT RAISE(ABORT, 'the audit trail cannot be edited'); END
    """,
)


def _m001_first(db: Database) -> None:
    for statement in _FIRST:
        db.conn.execute(statement)


STEPS: tuple[Callable[[Database], None], ...] = (_m001_first,)
LATEST = len(STEPS)


def migrate(conn: sqlite3.Connection) -> None:
    """Bring the schema up to date, inside the transaction of the caller.

    Parameters
    ----------
    conn
        Connection in a transaction that holds the write lock.
    """
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    # recursive_triggers is a setting of the connection that nbtrack does not want changed.
    db = Database(conn, recursive_triggers=False)
    migrations = Migrations("nbtrack")
    for step in STEPS:
        migrations(name=step.__name__.removeprefix("_"))(step)
    migrations.apply(db)
    conn.execute(f"PRAGMA user_version = {LATEST}")
