"""The extension in a real kernel: what a data scientist's cells leave behind."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

Run = Callable[..., nbformat.NotebookNode]

DATA = """
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
"""
FIT = "model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X_train, y_train)"


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Read the notebook's database with a tool of its own."""
    connection = sqlite3.connect(folder / "nbtrack.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def texts(cell: Any) -> str:
    """Return all that a cell has printed."""
    return "".join(output.get("text", "") for output in cell.outputs)


def html(cell: Any) -> list[str]:
    """Return the HTML of a cell's displays."""
    return [o.data["text/html"] for o in cell.outputs if "text/html" in o.get("data", {})]


def test_a_fit_becomes_a_run_with_all_that_is_known(run: Run, tmp_path: Path) -> None:
    notebook = run(["%load_ext nbtrack", DATA, FIT, "1 + 1"])
    greeting = texts(notebook.cells[0])
    assert greeting.count("\n") == 1
    assert str(tmp_path / "nbtrack.db") in greeting
    assert "scikit-learn" in greeting
    assert rows(
        tmp_path,
        "SELECT status, execution_count FROM runs JOIN cell_executions USING (execution_id)",
    ) == [("FINISHED", 3)]
    params = dict(rows(tmp_path, "SELECT key, value FROM params"))
    assert params["logisticregression__C"] == "0.5"
    assert dict(rows(tmp_path, "SELECT key, count FROM metrics"))["fit_time_s"] == 1
    inputs = rows(
        tmp_path,
        "SELECT name, context, json_extract(profile, '$.shape') FROM datasets"
        " JOIN run_inputs USING (dataset_id) ORDER BY context DESC",
    )
    assert inputs == [("X_train", "train", "[133,13]"), ("y_train", "target", "[133]")]
    schema = rows(tmp_path, "SELECT schema FROM datasets WHERE name = 'X_train'")[0][0]
    assert {"name": "alcohol", "type": "float64"} in json.loads(schema)["columns"]
    assert rows(
        tmp_path,
        "SELECT source FROM runs JOIN cell_executions USING (execution_id)"
        " JOIN cells ON digest = cell_digest",
    ) == [(FIT,)]
    assert ("model/MLmodel",) in rows(tmp_path, "SELECT path FROM artifacts")
    # All cells of the notebook as they were typed, in order, with how they ended.
    first = rows(
        tmp_path,
        "SELECT source FROM cells JOIN cell_executions ON digest = cell_digest"
        " WHERE execution_count = 1",
    )
    assert first == [("%load_ext nbtrack",)]
    outcomes = rows(tmp_path, "SELECT execution_count, outcome FROM cell_executions ORDER BY 1")
    assert outcomes == [(1, "ok"), (2, "ok"), (3, "ok"), (4, "ok")]


def test_metrics_land_on_the_run_also_when_imported_before(run: Run, tmp_path: Path) -> None:
    run(
        [
            "from sklearn.metrics import accuracy_score, f1_score, mean_squared_error",
            DATA,
            "%load_ext nbtrack",
            FIT,
            "other = RandomForestClassifier(n_estimators=5, random_state=0).fit(X_train, y_train)",
            "y_pred = model.predict(X_test)",
            "model.score(X_test, y_test)\naccuracy_score(y_test, y_pred)",
            "f1_score(y_test, y_pred, average='macro')\nmean_squared_error(y_test, y_pred)",
            "accuracy_score(y_test, other.predict(X_test))",
        ]
    )
    found = rows(
        tmp_path,
        "SELECT t.value, key FROM metrics JOIN (SELECT run_no, value FROM tags"
        " WHERE key = 'estimator_name') t USING (run_no)"
        " WHERE key NOT LIKE 'training%' AND key <> 'n_iter' ORDER BY 1, 2",
    )
    assert found == [
        ("Pipeline", "Pipeline_score_X_test"),
        ("Pipeline", "accuracy_score_X_test"),
        ("Pipeline", "f1_score_X_test"),
        ("Pipeline", "fit_time_s"),
        ("Pipeline", "mean_squared_error_X_test"),
        ("RandomForestClassifier", "accuracy_score_X_test"),
        ("RandomForestClassifier", "fit_time_s"),
    ]


def test_one_card_a_cell_as_static_html(run: Run) -> None:
    notebook = run(
        [
            "%load_ext nbtrack",
            DATA,
            "for C in (0.1, 1, 10):\n"
            "    LogisticRegression(C=C, max_iter=5000).fit(X_train, y_train)",
            FIT + "\nmodel.score(X_test, y_test);",
            "RandomForestClassifier(n_estimators=3).fit(X_train, y_train).score(X_test, y_test);",
            "2 * 2",
        ]
    )
    [card] = html(notebook.cells[2])
    assert "3 runs" in card
    assert card.count("LogisticRegression") == 3
    assert ">C<" in card
    assert "<script" not in card
    assert "style>" not in card
    [card] = html(notebook.cells[3])
    assert "1 run" in card
    assert "Pipeline_score_X_test" in card
    assert html(notebook.cells[5]) == []


def test_a_metric_of_a_later_cell_updates_the_card_of_its_run(run: Run) -> None:
    notebook = run(["%load_ext nbtrack", DATA, FIT, "model.score(X_test, y_test);"])
    [card] = html(notebook.cells[2])
    assert "Pipeline_score_X_test" in card
    assert html(notebook.cells[3]) == []


def test_a_run_that_goes_on_in_a_later_cell_is_on_its_card(run: Run) -> None:
    notebook = run(
        [
            "%load_ext nbtrack\nimport nbtrack",
            "run = nbtrack.start_run(run_name='long')\nrun.log_metric('first', 1)",
            "run.log_metric('second', 2)",
            "nbtrack.end_run()",
            "run.log_metric('late', 3)",
        ]
    )
    (first,), (second,) = (html(notebook.cells[i]) for i in (1, 2))
    assert html(notebook.cells[3]) == html(notebook.cells[4]) == []
    assert "running" not in first + second  # the card that was left tells of the end, too
    assert "late" in second


def test_an_identical_run_is_linked_to_where_it_stands(run: Run, tmp_path: Path) -> None:
    # The notice comes from a thread: the notebook may not end before the card is drawn with it.
    wait = "from nbtrack.tracking import later\nlater.wait()\nimport time\ntime.sleep(1)"
    notebook = run(["%load_ext nbtrack", DATA, FIT, FIT, wait])
    (first,), (second,) = html(notebook.cells[2]), html(notebook.cells[3])
    [(twin,)] = rows(tmp_path, "SELECT value FROM tags WHERE key = 'nbtrack.identical_run'")
    assert f'id="nbtrack-{twin}"' in first
    assert f'href="#nbtrack-{twin}"' in second


def test_searches_and_failures(run: Run, tmp_path: Path) -> None:
    notebook = run(
        [
            "%load_ext nbtrack",
            DATA,
            "GridSearchCV(LogisticRegression(max_iter=5000), {'C': [1, 2]}, n_jobs=2)"
            ".fit(X_train, y_train);",
            "LogisticRegression(C=-1).fit(X_train, y_train)",
        ],
        allow_errors=True,
    )
    statuses = (
        "SELECT status, parent_run_id IS NULL, count(*) FROM runs GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert rows(tmp_path, statuses) == [
        ("FAILED", 1, 1),
        ("FINISHED", 0, 2),  # the candidates
        ("FINISHED", 1, 1),
    ]
    [card] = html(notebook.cells[2])
    assert "1 run" in card
    assert "2 candidates kept" in card
    assert "best_cv_score" in card
    assert ">best_C<" in card
    [(error,)] = rows(tmp_path, "SELECT error FROM runs WHERE status = 'FAILED'")
    assert "InvalidParameterError" in error
    assert "nbtrack" not in error
    [shown] = [o for o in notebook.cells[3].outputs if o.output_type == "error"]
    assert "nbtrack" not in "".join(shown.traceback)
    assert dict(rows(tmp_path, "SELECT key, value FROM params"))["best_C"] in {"1", "2"}


def test_unload_leaves_everything_as_it_was_and_reload_is_harmless(
    run: Run, tmp_path: Path
) -> None:
    notebook = run(
        [
            DATA,
            "import sklearn.metrics\nfrom sklearn.base import BaseEstimator\n"
            "def everything():\n"
            "    found, todo = {}, [BaseEstimator]\n"
            "    while todo:\n"
            "        cls = todo.pop()\n"
            "        if cls not in found:\n"
            # __slotnames__ is Python's own note, which pickling a model leaves on its class.
            "            items = vars(cls).items()\n"
            "            found[cls] = {k: id(v) for k, v in items if k != '__slotnames__'}\n"
            "            mixins = [m for m in cls.__mro__ if m.__module__.startswith('sklearn.')]\n"
            "            todo += [*cls.__subclasses__(), *mixins]\n"
            "    f = sklearn.metrics.accuracy_score\n"
            "    return found, [id(c.cell_contents) for c in f.__closure__]\n"
            "before = everything()",
            "%load_ext nbtrack",
            "print(everything() == before)",
            FIT,
            "%reload_ext nbtrack",
            FIT,
            "%unload_ext nbtrack",
            "print(everything() == before)",
            FIT,
            "%nbtrack runs",
        ],
        allow_errors=True,
    )
    assert texts(notebook.cells[3]) == "False\n"
    assert texts(notebook.cells[8]) == "True\n"
    assert rows(tmp_path, "SELECT count(*) FROM runs") == [(2,)]
    assert "not found" in str(notebook.cells[10].outputs)


def test_the_commands(run: Run, tmp_path: Path) -> None:
    notebook = run(
        [
            "%load_ext nbtrack",
            "%nbtrack models",
            DATA,
            FIT,
            "import nbtrack\nname = nbtrack.runs()['name'].iloc[0]",
            "%nbtrack register {name} wine",
            "%nbtrack models",
            "%nbtrack status",
            "%nbtrack runs -n 1",
            "%nbtrack compare",
            "%nbtrack compare --metric fit_time_s {name}",
            "%nbtrack report out.html --title 'My wines'",
            "%nbtrack",
        ]
    )
    shown = [str(cell.outputs) for cell in notebook.cells]
    assert "No model is registered yet" in shown[1]
    assert "Registered wine version 1" in shown[5]
    assert "models:/wine/1" in shown[6]
    assert str(tmp_path / "nbtrack.db") in shown[7]
    assert "Pipeline" in shown[8]
    # Nobody is there to see a widget: HTML alone is saved, which is not blank when offline.
    for output in (*notebook.cells[9].outputs, *notebook.cells[10].outputs):
        assert set(output.data) == {"text/html", "text/plain"}
    page = (tmp_path / "out.html").read_text()
    assert "My wines" in page
    assert "compare" in texts(notebook.cells[12])


def test_notices_stand_on_the_card(run: Run) -> None:
    score = "model.score(X_train, y_train)"
    notebook = run(["%load_ext nbtrack", DATA, FIT, score, FIT])
    (card,) = html(notebook.cells[2])
    assert "Computed on the data that was fitted: Pipeline_score_X_train." in card
    # The second one is told of when the writer and the reader have met, which may be after it.
    notebook = run(["%load_ext nbtrack", DATA, f"{FIT}\nimport time\ntime.sleep(2)"] * 2)
    (card,) = html(notebook.cells[5])
    assert "Same data, params and code as run" in card


def test_off_and_on(run: Run, tmp_path: Path) -> None:
    notebook = run(
        [
            "%load_ext nbtrack",
            DATA,
            f"\n%%nbtrack off\n{FIT}\nmodel.n_features_in_",
            FIT,
            "%nbtrack off sklearn",
            FIT,
            f"%nbtrack on\n{FIT}",
            "%nbtrack status",
            "%%nbtrack runs\n1",
        ],
        allow_errors=True,
    )
    assert notebook.cells[2].outputs[0].data["text/plain"] == "13"
    assert rows(
        tmp_path,
        "SELECT execution_count FROM runs JOIN cell_executions USING (execution_id) ORDER BY 1",
    ) == [(4,), (7,)]
    assert "off: not enabled" in notebook.cells[4].outputs[0].data["text/plain"]
    shown = notebook.cells[7].outputs[0].data
    assert "2 runs" in shown["text/plain"]
    assert "2 runs" in shown["text/html"]
    assert "%%nbtrack off" in str(notebook.cells[8].outputs)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("%nbtrack frobnicate", "invalid choice", "hint: Use"),
        ("%nbtrack compare nosuchrun", "There is no run 'nosuchrun'", "hint: Give an id"),
        ("%nbtrack register nosuchrun x", "There is no run 'nosuchrun'", "hint: Give an id"),
        ("%nbtrack register {name} a/b", "'a/b' is no name", "hint: Use 1 to 250"),
        ("%nbtrack runs -n 0", "0 is not 1 or more", "hint: Use"),
        ("%nbtrack report /no/such/folder/x.html", "there is no folder", "hint: Make it"),
        ("%nbtrack report 'unclosed", "No closing quotation", ""),
        ("nbtrack.get_run('nosuchrun')", "There is no run 'nosuchrun'", "hint: Give an id"),
        ("nbtrack.load_model('models:/nosuch/1')", "no registered model 'nosuch'", "hint:"),
        ("nbtrack.set_tracking_uri('ftp://x')", "has the scheme 'ftp'", "hint: Use a path"),
    ],
)
def test_bad_input_gets_one_sentence_and_a_hint(
    run: Run, line: str, message: str, hint: str
) -> None:
    cells = ["%load_ext nbtrack", DATA, FIT, "import nbtrack\nname = nbtrack.runs().name.iloc[0]"]
    notebook = run([*cells, line], allow_errors=True)
    output = notebook.cells[-1].outputs[-1]
    said = output.get("text") or "\n".join(output.traceback)
    assert message in said
    assert hint in said
    assert "Traceback" not in said
    assert "site-packages" not in said
    assert len(said.splitlines()) <= 2


def test_settings_by_config_and_environment(run: Run, tmp_path: Path) -> None:
    notebook = run(
        [
            "%load_ext nbtrack",
            DATA,
            "%config NBTrack.card = 'line'\n%config NBTrack.log_models = False",
            FIT,
            "%config NBTrack.card = 'off'\n%config NBTrack.experiment = 'second'",
            FIT,
            "%config NBTrack.card = 'nonsense'",
            "%config NBTrack.card",
        ],
        allow_errors=True,
    )
    assert "(Pipeline) finished" in texts(notebook.cells[3])
    assert html(notebook.cells[3]) == []
    assert notebook.cells[5].outputs == []
    assert "use one of full, line, off" in str(notebook.cells[6].outputs)
    assert "'off'" in str(notebook.cells[7].outputs)
    assert rows(tmp_path, "SELECT count(*) FROM models") == [(0,)]
    assert rows(tmp_path, "SELECT name FROM experiments ORDER BY 1") == [("Default",), ("second",)]


TROUBLE = {
    "foreign": "import sqlite3\nc = sqlite3.connect('nbtrack.db')\n"
    "c.execute('CREATE TABLE mine (x)'); c.commit(); c.close()",
    "damaged": "open('nbtrack.db', 'w').write('this is no database ' * 100)",
    "newer": "import nbtrack.db, pathlib\np = pathlib.Path('nbtrack.db').absolute()\n"
    "c = nbtrack.db.connect_writer(p); c.execute('PRAGMA user_version = 99'); c.close()",
    "locked": "import nbtrack.db, pathlib\nfrom unittest import mock\n"
    "nbtrack.db.BUSY_TIMEOUT_MS = 100\np = pathlib.Path('nbtrack.db').absolute()\n"
    "c = nbtrack.db.connect_writer(p); c.execute('BEGIN EXCLUSIVE')",
    # A folder that cannot be written, for root too.
    "unwritable": "%env NBTRACK_DB=/proc/self/nbtrack.db",
    # No file may grow beyond this: what a full disk says, but for this kernel only.
    "full": "import resource\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))",
    "device": "%env NBTRACK_DB=/dev/full",
}
SAYS = {
    "foreign": "not one of nbtrack's",
    "damaged": "no SQLite database, or is damaged",
    "newer": "schema 99",
    "locked": "is locked by another process",
    "unwritable": "nbtrack.db",
    "full": "cannot be written",
    "device": "/dev/full",
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_with_the_database_costs_one_warning_and_nothing_else(
    run: Run, tmp_path: Path, trouble: str
) -> None:
    notebook = run(
        [
            TROUBLE[trouble],
            "%load_ext nbtrack",
            DATA,
            FIT + "\nimport time; time.sleep(1.5)",
            FIT,
            "print(model.score(X_test, y_test))",
        ]
    )
    assert float(texts(notebook.cells[5]).splitlines()[-1]) > 0.9
    warnings = "".join(texts(cell) for cell in notebook.cells[2:])
    assert warnings.count("nbtrack:") == 1
    assert SAYS[trouble] in warnings
    assert "hint:" in warnings
    if trouble == "foreign":
        assert rows(tmp_path, "SELECT name FROM sqlite_master") == [("mine",)]


def test_hostile_names_are_text_in_card_widget_and_report(run: Run, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>'\"`\\n<img src=x onerror=alert(2)>🦊 &amp; </td></table>"
    notebook = run(
        [
            "%load_ext nbtrack\nimport nbtrack",
            f"bad = {hostile!r}\n"
            "with nbtrack.start_run(run_name=bad) as r:\n"
            "    r.log_params({bad: bad, 'p': bad}, highlights=[bad, 'p'])\n"
            "    r.log_metric(bad, 1.0); r.log_metric(bad, 2.0, step=1); r.set_tag(bad, bad)",
            "nbtrack.compare()",
            "%nbtrack report out.html",
        ]
    )
    for cell in notebook.cells[1:3]:
        [card] = html(cell)
        assert "<script" not in card
        assert "<img" not in card
        assert "&lt;script&gt;" in card
        assert "🦊" in card
    page = (tmp_path / "out.html").read_text()
    body, _, data = page.partition('<script type="application/json"')
    assert "alert(1)" in body.split("<noscript>")[1]
    assert "<script>alert" not in page
    assert "<img src=x" not in page.split("<script>")[0]
    assert "\\u003cscript>alert(1)" in data


def test_the_model_loads_and_predicts_the_same_in_a_fresh_process(run: Run, tmp_path: Path) -> None:
    notebook = run(
        [
            "%load_ext nbtrack\nimport nbtrack",
            DATA,
            # A class of the notebook's own: the fresh process has never heard of it.
            "class Doubled(LogisticRegression):\n"
            "    def predict_proba(self, X):\n        return super().predict_proba(X) * 2",
            "own = make_pipeline(StandardScaler(), Doubled()).fit(X_train, y_train)",
            "nbtrack.register_model(nbtrack.runs().index[0], 'wine')",
            "print(own.predict_proba(X_test)[:2].sum(axis=1).tolist(), own.predict(X_test).sum())",
        ]
    )
    script = (
        "import nbtrack\nfrom sklearn.datasets import load_wine\n"
        "from sklearn.model_selection import train_test_split\n"
        "X, y = load_wine(return_X_y=True, as_frame=True)\n"
        "X_test = train_test_split(X, y, random_state=0)[1]\n"
        "own = nbtrack.load_model('models:/wine/1')\n"
        "print(own.predict_proba(X_test)[:2].sum(axis=1).tolist(), own.predict(X_test).sum())\n"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert fresh.stdout == texts(notebook.cells[5])
    doubled = fresh.stdout.partition("]")[0].strip("[").split(", ")
    assert [round(float(value), 6) for value in doubled] == [2, 2]
