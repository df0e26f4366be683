"""The schema, as an append-only list of steps; no step is edited once it was released.

Every table and column is described where it is made, and SQLite keeps these comments: ``.schema``
in any SQLite tool shows them. ``sqlite_utils`` runs the steps and is imported only when a file
needs one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbtrack import packing

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database

_CHUNK = 8192  # most points of a chunk

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


# Runs get a number: 4 bytes instead of 33 in every row that belongs to one. Points are packed
# into chunks. What refers to a run by its id is made anew, because the id is no longer the key.
_REBUILT = {
    "runs": """
    CREATE TABLE new_runs (
        run_no          INTEGER PRIMARY KEY,   -- in the order of their coming; of this file only
        run_id          TEXT NOT NULL UNIQUE,  -- 32 hex digits
        run_name        TEXT NOT NULL,
        experiment_id   INTEGER NOT NULL REFERENCES experiments,
        parent_run_id   TEXT,                  -- may be in a file that this one was taken out of
        session_id      TEXT REFERENCES sessions,
        execution_id    TEXT,                  -- the cell that made it
        status          TEXT NOT NULL,         -- RUNNING, SCHEDULED, FINISHED, FAILED, KILLED
        start_time      INTEGER NOT NULL,
        end_time        INTEGER,
        user_id         TEXT NOT NULL,
        lifecycle_stage TEXT NOT NULL DEFAULT 'active',  -- active, deleted
        deleted_time    INTEGER,               -- when it was put into the trash
        error           TEXT                   -- traceback of a failed run
    ) STRICT
    """,
    "params": """
    CREATE TABLE new_params (
        run_no INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        key    TEXT NOT NULL,
        value  TEXT NOT NULL,
        PRIMARY KEY (run_no, key)
    ) STRICT, WITHOUT ROWID
    """,
    "tags": """
    CREATE TABLE new_tags (
        run_no INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        key    TEXT NOT NULL,
        value  TEXT NOT NULL,
        PRIMARY KEY (run_no, key)
    ) STRICT, WITHOUT ROWID
    """,
    "metrics": """
    CREATE TABLE new_metrics ( -- summary of each metric, so that tables never read histories
        metric_id       INTEGER PRIMARY KEY,
        run_no          INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
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
        UNIQUE (run_no, key)
    ) STRICT
    """,
    "run_inputs": """
    CREATE TABLE new_run_inputs (
        run_id     TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
        dataset_id INTEGER NOT NULL REFERENCES datasets,
        context    TEXT NOT NULL,                -- train, target, eval ...
        tags       TEXT NOT NULL DEFAULT '{}',   -- JSON: other tags of this input
        PRIMARY KEY (run_id, dataset_id, context)
    ) STRICT, WITHOUT ROWID
    """,
    "artifacts": """
    CREATE TABLE new_artifacts ( -- files of a run
        run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
        path   TEXT NOT NULL,       -- relative, with /
        digest TEXT NOT NULL REFERENCES blobs,
        PRIMARY KEY (run_id, path)
    ) STRICT, WITHOUT ROWID
    """,
    "models": """
    CREATE TABLE new_models ( -- model directories among the artifacts of a run
        model_id      TEXT PRIMARY KEY,
        run_id        TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
        artifact_path TEXT NOT NULL,
        flavor        TEXT NOT NULL,     -- sklearn ...
        model_class   TEXT NOT NULL,     -- module.Class
        size_bytes    INTEGER NOT NULL,
        created_ms    INTEGER NOT NULL,
        UNIQUE (run_id, artifact_path)
    ) STRICT
    """,
    "model_versions": """
    CREATE TABLE new_model_versions (
        name               TEXT NOT NULL REFERENCES registered_models,
        version            INTEGER NOT NULL,
        run_id             TEXT REFERENCES runs (run_id),
        source             TEXT NOT NULL,     -- runs:/<run id>/<artifact path>
        creation_timestamp INTEGER NOT NULL,
        user_id            TEXT NOT NULL,
        PRIMARY KEY (name, version)
    ) STRICT
    """,
}
_COPIED = {
    "runs": "INSERT INTO new_runs (run_no, run_id, run_name, experiment_id, parent_run_id,"
    " session_id, execution_id, status, start_time, end_time, user_id, lifecycle_stage, error)"
    " SELECT rowid, run_id, run_name, experiment_id, parent_run_id, session_id, execution_id,"
    " status, start_time, end_time, user_id, lifecycle_stage, error FROM runs",
    "params": "INSERT INTO new_params SELECT r.run_no, t.key, t.value FROM params t"
    " JOIN new_runs r USING (run_id)",
    "tags": "INSERT INTO new_tags SELECT r.run_no, t.key, t.value FROM tags t"
    " JOIN new_runs r USING (run_id)",
    "metrics": "INSERT INTO new_metrics SELECT metric_id, r.run_no, key, last, last_step,"
    " last_timestamp, first, first_step, first_timestamp, min, max, count"
    " FROM metrics JOIN new_runs r USING (run_id)",
    "run_inputs": "INSERT INTO new_run_inputs (run_id, dataset_id, context)"
    " SELECT run_id, dataset_id, context FROM run_inputs",
    "artifacts": "INSERT INTO new_artifacts SELECT run_id, path, digest FROM artifacts",
    "models": "INSERT INTO new_models SELECT model_id, run_id, artifact_path, flavor, model_class,"
    " size_bytes, created_ms FROM models",
    "model_versions": "INSERT INTO new_model_versions SELECT name, version, run_id, source,"
    " creation_timestamp, user_id FROM model_versions",
}
_CORE = (
    # Read backwards: newest first, and of one millisecond the one that came last.
    "CREATE INDEX runs_by_start ON runs (start_time)",
    "CREATE INDEX runs_by_experiment ON runs (experiment_id, start_time)",
    "CREATE INDEX runs_running ON runs (status) WHERE status = 'RUNNING'",
    "CREATE INDEX runs_by_name ON runs (run_name)",
    "CREATE INDEX runs_by_parent ON runs (parent_run_id) WHERE parent_run_id IS NOT NULL",
    "CREATE INDEX metrics_by_last ON metrics (key, last, run_no)",
    """
    CREATE TABLE metric_chunks ( -- points of a metric, packed: see nbtrack/packing.py
        chunk_id  INTEGER PRIMARY KEY,
        metric_id INTEGER NOT NULL REFERENCES metrics ON DELETE CASCADE,
        count     INTEGER NOT NULL,
        data      BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX chunks_by_metric ON metric_chunks (metric_id, chunk_id, count)",
    """
    CREATE TABLE param_history ( -- values that a param had before it was logged again
        run_no  INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        key     TEXT NOT NULL,
        value   TEXT NOT NULL,
        time_ms INTEGER NOT NULL   -- when it was replaced
    ) STRICT
    """,
    "CREATE INDEX param_history_by_run ON param_history (run_no, key)",
    """
    CREATE TABLE model_metrics ( -- points that were logged for a model or on a dataset
        run_no         INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        key            TEXT NOT NULL,
        value          REAL,              -- NULL is NaN
        step           INTEGER NOT NULL,
        timestamp      INTEGER NOT NULL,
        model_id       TEXT,
        dataset_name   TEXT,
        dataset_digest TEXT
    ) STRICT
    """,
    "CREATE INDEX model_metrics_by_run ON model_metrics (run_no, key)",
    "CREATE INDEX model_metrics_by_model ON model_metrics (model_id) WHERE model_id IS NOT NULL",
    """
    CREATE TABLE shapes ( -- which keys the rows in sealed_runs have, in which order
        shape_id INTEGER PRIMARY KEY,
        keys     TEXT NOT NULL UNIQUE  -- JSON: array of texts
    ) STRICT
    """,
    """
    CREATE TABLE sealed_runs ( -- params, tags and metrics of runs that ended, as a table reads them
        run_no       INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
        param_shape  INTEGER NOT NULL REFERENCES shapes,
        params       TEXT NOT NULL,  -- JSON: array of values
        tag_shape    INTEGER NOT NULL REFERENCES shapes,
        tags         TEXT NOT NULL,  -- JSON: array of values
        metric_shape INTEGER NOT NULL REFERENCES shapes,
        lasts        BLOB NOT NULL,  -- last value of each metric: float64, little-endian
        metrics      BLOB NOT NULL   -- all of its summary: see nbtrack/store/sealing.py
    ) STRICT
    """,
    """
    CREATE TABLE experiment_tags (
        experiment_id INTEGER NOT NULL REFERENCES experiments ON DELETE CASCADE,
        key           TEXT NOT NULL,
        value         TEXT NOT NULL,
        PRIMARY KEY (experiment_id, key)
    ) STRICT, WITHOUT ROWID
    """,
    # Where artifacts go that are not kept in the file; empty: in the file.
    "ALTER TABLE experiments ADD COLUMN artifact_location TEXT NOT NULL DEFAULT ''",
    # Where the data came from, as JSON; empty: not known.
    "ALTER TABLE datasets ADD COLUMN source TEXT NOT NULL DEFAULT ''",
    # How much of the session's journal is in the file: see nbtrack/store/journal.py.
    "ALTER TABLE sessions ADD COLUMN journal_records INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN journal_points INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX runs_by_session ON runs (session_id) WHERE status = 'RUNNING'",
    """
    CREATE TABLE unsealed_runs ( -- runs whose row in sealed_runs is to be made, once they ended
        run_no INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE
    ) STRICT
    """,
    "INSERT INTO unsealed_runs SELECT run_no FROM runs",
    """
    CREATE TRIGGER runs_begin_unsealed AFTER INSERT ON runs
    BEGIN INSERT INTO unsealed_runs VALUES (NEW.run_no); END
    """,
    *(
        f"""
    CREATE TRIGGER {table}_{change.lower()}_unseals AFTER {change} ON {table}
    WHEN NOT EXISTS (SELECT 1 FROM unsealed_runs WHERE run_no = {row}.run_no)
    BEGIN
        DELETE FROM sealed_runs WHERE run_no = {row}.run_no;
        INSERT INTO unsealed_runs SELECT run_no FROM runs WHERE run_no = {row}.run_no;
    END
    """
        for table in ("params", "tags", "metrics")
        for change, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
    ),
)


def _m002_core(db: Database) -> None:
    """Give runs a number, pack points; make room for histories, the trash, experiments' tags."""
    conn = db.conn
    for create in _REBUILT.values():
        conn.execute(create)
    for copy in _COPIED.values():
        conn.execute(copy)
    points = conn.execute(
        "SELECT metric_id, step, timestamp, value FROM metric_points"
        " ORDER BY metric_id, step, timestamp, rowid"
    ).fetchall()
    conn.execute("DROP TABLE metric_points")
    # Children first: dropping a table deletes its rows, and what refers to them.
    for table in reversed(_REBUILT):
        conn.execute(f"DROP TABLE {table}")
    for table in _REBUILT:
        conn.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
    for statement in _CORE:
        conn.execute(statement)
    for metric_id, rows in itertools.groupby(points, key=lambda row: row[0]):
        for _, chunk in itertools.groupby(enumerate(rows), key=lambda pair: pair[0] // _CHUNK):
            columns = list(zip(*(row[1:] for _, row in chunk), strict=True))
            values = [math.nan if value is None else value for value in columns[2]]
            conn.execute(
                "INSERT INTO metric_chunks (metric_id, count, data) VALUES (?, ?, ?)",
                (metric_id, len(values), packing.encode(columns[0], columns[1], values)),
            )


_EXCHANGE = (
    """
    CREATE TABLE blob_places ( -- where contents of files lie that are not in this file
        place_id INTEGER PRIMARY KEY,
        uri      TEXT NOT NULL UNIQUE  -- beside: the folder <database>-blobs; else of fsspec
    ) STRICT
    """,
    # NULL: its chunks are in blob_chunks.
    "ALTER TABLE blobs ADD COLUMN place_id INTEGER REFERENCES blob_places",
    # Where it is to be brought; NULL: it stays where it is.
    "ALTER TABLE blobs ADD COLUMN next_place_id INTEGER REFERENCES blob_places",
    # The room that it takes in its place, as it is encoded; NULL: its chunks tell.
    "ALTER TABLE blobs ADD COLUMN stored_bytes INTEGER",
    "CREATE INDEX blobs_on_their_way ON blobs (next_place_id) WHERE next_place_id IS NOT NULL",
    # Logged models, as MLflow has them since 3.0.
    "ALTER TABLE models ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE models ADD COLUMN model_type TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE models ADD COLUMN status TEXT NOT NULL DEFAULT 'LOGGED_MODEL_READY'",
    "ALTER TABLE models ADD COLUMN last_updated_ms INTEGER",  # NULL: never
    """
    CREATE TABLE logged_model_params (
        model_id TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
        key      TEXT NOT NULL,
        value    TEXT NOT NULL,
        PRIMARY KEY (model_id, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE logged_model_tags (
        model_id TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
        key      TEXT NOT NULL,
        value    TEXT NOT NULL,
        PRIMARY KEY (model_id, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE run_models ( -- models that a run used or made
        run_id   TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
        model_id TEXT NOT NULL,                -- may be in a file that this one was taken out of
        role     TEXT NOT NULL,                -- input, output
        step     INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (run_id, model_id, role)
    ) STRICT, WITHOUT ROWID
    """,
    "ALTER TABLE registered_models ADD COLUMN description TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE registered_model_tags (
        name  TEXT NOT NULL REFERENCES registered_models ON DELETE CASCADE,
        key   TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (name, key)
    ) STRICT, WITHOUT ROWID
    """,
    "ALTER TABLE model_versions ADD COLUMN description TEXT NOT NULL DEFAULT ''",
    # None, Staging, Production, Archived
    "ALTER TABLE model_versions ADD COLUMN current_stage TEXT NOT NULL DEFAULT 'None'",
    # READY, PENDING_REGISTRATION, FAILED_REGISTRATION
    "ALTER TABLE model_versions ADD COLUMN status TEXT NOT NULL DEFAULT 'READY'",
    "ALTER TABLE model_versions ADD COLUMN run_link TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE model_versions ADD COLUMN model_id TEXT",  # the logged model, if it is known
    "ALTER TABLE model_versions ADD COLUMN last_updated_timestamp INTEGER",  # NULL: never
    """
    CREATE TABLE model_version_tags (
        name    TEXT NOT NULL,
        version INTEGER NOT NULL,
        key     TEXT NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (name, version, key),
        FOREIGN KEY (name, version) REFERENCES model_versions ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID
    """,
)


def _m003_exchange(db: Database) -> None:
    """Make room for contents outside of the file, and for all that MLflow knows of models."""
    for statement in _EXCHANGE:
        db.conn.execute(statement)


STEPS: tuple[Callable[[Database], None], ...] = (_m001_first, _m002_core, _m003_exchange)
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
