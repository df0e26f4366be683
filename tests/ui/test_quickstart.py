"""The whole story in a real JupyterLab: run, see the card, compare, register, open the report."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import OpenNotebook
from .notebook_page import SCREENSHOTS, NotebookPage, Theme

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]


def quickstart() -> list[str]:
    """Return the code cells of the example."""
    notebook = nbformat.read(ROOT / "examples" / "quickstart.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def index_of(cells: list[str], part: str) -> int:
    """Return the number of the one cell that has this text."""
    [index] = [i for i, cell in enumerate(cells) if part in cell]
    return index


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Read the notebook's database with a tool of its own."""
    connection = sqlite3.connect(folder / "nbtrack.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def open_report(browser: Browser, path: Path, theme: Theme) -> tuple[Page, list[str]]:
    """Open a file as a double click does, without a network; return the page and its problems."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=theme, offline=True
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda r: problems.append(r.url) if not r.url.startswith(("file:", "data:")) else None,
    )
    page.goto(path.as_uri())
    return page, problems


def test_quickstart(notebook: OpenNotebook, browser: Browser) -> None:
    cells = quickstart()
    page = notebook(cells)
    page.run_all()

    card = page.output(index_of(cells, "for C in"))
    expect(card).to_contain_text("nbtrack · 4 runs")
    expect(card).to_contain_text("accuracy_score_X_test")
    expect(card.get_by_text("Pipeline")).to_have_count(4)

    compare = page.output(index_of(cells, "nbtrack.compare")).get_by_test_id("nbt-compare")
    expect(compare.get_by_test_id("nbt-row")).to_have_count(8)
    expect(compare.get_by_test_id("nbt-chart").locator("svg").first).to_be_visible()

    # Sort by accuracy, the best first, then last; runs without it come last both times.
    header = compare.get_by_test_id("nbt-sort-metrics.accuracy_score_X_test")
    values = dict(
        rows(
            page.folder,
            "SELECT run_id, last FROM metrics JOIN runs USING (run_no)"
            " WHERE key = 'accuracy_score_X_test'",
        )
    )
    for direction in ("descending", "ascending", "descending"):
        while compare.locator(f"th[aria-sort={direction}]").count() == 0:
            header.click()
            page.page.wait_for_timeout(100)
        ids = [row.get_attribute("data-run-id") for row in compare.get_by_test_id("nbt-row").all()]
        in_order = sorted(values.values(), reverse=direction == "descending")
        assert [values.get(str(run_id)) for run_id in ids] == [*in_order, None, None]

    # Select it, and register it through the dialog.
    compare.get_by_test_id("nbt-row-checkbox").first.check()
    compare.get_by_test_id("nbt-register").click()
    name = page.page.get_by_test_id("nbt-register-name")
    name.fill("from the dialog")
    page.page.get_by_test_id("nbt-register-ok").click()
    expect(compare.get_by_test_id("nbt-message")).to_contain_text("from the dialog")
    assert rows(
        page.folder,
        "SELECT name, version, run_id FROM model_versions WHERE name = 'from the dialog'",
    ) == [("from the dialog", 1, ids[0])]
    assert rows(page.folder, "SELECT event, name FROM model_events ORDER BY event_id DESC")[0] == (
        "registered",
        "from the dialog",
    )
    page.screenshot("quickstart-light")

    report, problems = open_report(browser, page.folder / "report.html", "light")
    expect(report.get_by_test_id("nbt-row")).to_have_count(8)
    expect(report.get_by_test_id("nbt-chart").locator("svg").first).to_be_visible()
    expect(report.get_by_test_id("nbt-models")).to_contain_text("breast-cancer")
    expect(report.get_by_test_id("nbt-register")).to_have_count(0)
    report.screenshot(path=SCREENSHOTS / "report-light.png", full_page=True)
    report.get_by_text("sgd by hand").first.click()
    expect(report.get_by_test_id("nbt-details")).to_contain_text("sgd.partial_fit")
    report.screenshot(path=SCREENSHOTS / "report-details-light.png", full_page=True)
    assert problems == []
    report.context.close()

    report, problems = open_report(browser, page.folder / "report.html", "dark")
    expect(report.get_by_test_id("nbt-chart").locator("svg").first).to_be_visible()
    report.screenshot(path=SCREENSHOTS / "report-dark.png", full_page=True)
    assert problems == []
    report.context.close()


def test_selection_goes_to_python_and_back(notebook: OpenNotebook) -> None:
    page = notebook(
        [
            "%load_ext nbtrack\nimport nbtrack\n"
            "for i in range(3):\n"
            "    with nbtrack.start_run(run_name=f'run {i}') as r: r.log_metric('m', i)",
            "w = nbtrack.compare()\nw",
            "print(w.selected == [r.run_id], w.to_pandas()['m'].tolist())",
            "w.selected = list(nbtrack.runs().index[1:])",
        ],
        theme="dark",
    )
    page.run_cell(0)
    page.run_cell(1)
    boxes = page.output(1).get_by_test_id("nbt-row-checkbox")
    expect(boxes).to_have_count(3)
    boxes.first.check()
    page.run_cell(2)
    expect(page.output(2)).to_contain_text("True [2.0]")
    page.run_cell(3)
    expect(boxes.nth(0)).not_to_be_checked()
    expect(boxes.nth(1)).to_be_checked()
    expect(boxes.nth(2)).to_be_checked()
    page.screenshot("selection-dark")


def test_the_card_and_the_widget_live_while_a_cell_runs(notebook: OpenNotebook) -> None:
    page = notebook(
        [
            "%load_ext nbtrack\nimport nbtrack, time\nfrom pathlib import Path\n"
            "with nbtrack.start_run(run_name='before') as r: r.log_metric('loss', 9)",
            "nbtrack.compare()",
            "with nbtrack.start_run(run_name='slow') as r:\n"
            "    step = 0\n"
            "    while not Path('stop').exists():\n"
            "        r.log_metric('loss', 1 / (1 + step), step=step)\n"
            "        time.sleep(0.01); step += 1",
        ]
    )
    page.run_cell(0)
    page.run_cell(1)
    expect(page.output(1).get_by_test_id("nbt-row")).to_have_count(1)
    page.select(2)
    page.start("notebook:run-cell")
    card = page.output(2)
    expect(card).to_contain_text("slow running")
    first = card.inner_text()
    expect(card).not_to_have_text(first, timeout=5_000)  # it is drawn again
    # The widget above learns of the new run while the kernel is busy.
    expect(page.output(1).get_by_test_id("nbt-row")).to_have_count(2, timeout=15_000)
    (page.folder / "stop").touch()
    page.wait()
    expect(card).not_to_contain_text("running")
    assert page.errors() == []


def test_500_runs_are_usable(notebook: OpenNotebook) -> None:
    page = notebook(
        [
            "%load_ext nbtrack\nimport nbtrack, random\n"
            "%config NBTrack.card = 'off'\n"
            "for i in range(500):\n"
            "    with nbtrack.start_run(run_name=f'run-{i:03}') as r:\n"
            "        r.log_params({f'param_{j}': (i * j) % 7 for j in range(20)})\n"
            "        r.log_metrics({f'metric_{j}': random.random() for j in range(20)})",
            "nbtrack.compare()",
        ]
    )
    page.run_all()
    compare = page.output(1).get_by_test_id("nbt-compare")
    expect(compare).to_contain_text("500 runs")
    assert compare.get_by_test_id("nbt-row").count() < 100  # only those in view are in the page
    header = compare.get_by_test_id("nbt-sort-name")
    header.click()
    expect(compare.get_by_test_id("nbt-row").first).to_contain_text("run-000")
    header.click()
    expect(compare.get_by_test_id("nbt-row").first).to_contain_text("run-499")
    compare.get_by_test_id("nbt-filter").fill("run-123")
    expect(compare.get_by_test_id("nbt-row")).to_have_count(1)
    compare.get_by_test_id("nbt-filter").fill("")
    page.screenshot("500-runs-light")


HOSTILE = "<script>alert(1)</script>'\"`\\n<img src=x onerror=alert(2)>🦊 <b>&amp;</b>"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_hostile_names_are_shown_as_text(
    notebook: OpenNotebook, browser: Browser, theme: Theme
) -> None:
    page = notebook(
        [
            "%load_ext nbtrack\nimport nbtrack\n"
            f"bad = {HOSTILE!r}.replace('\\\\n', chr(10))\n"
            "for name in (bad, bad * 20):\n"
            "    with nbtrack.start_run(run_name=name) as r:\n"
            "        r.log_params({bad: name, 'p': name}, highlights=[bad, 'p'])\n"
            "        r.set_tag(bad, bad)\n"
            "        r.log_metrics({bad: 1.0}); r.log_metrics({bad: 2.0}, step=1)",
            "nbtrack.compare()",
            "%nbtrack report report.html",
        ],
        theme=theme,
    )
    dialogs: list[str] = []
    page.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.run_all()
    expect(page.output(0)).to_contain_text("<script>alert(1)</script>'\"`")
    compare = page.output(1).get_by_test_id("nbt-compare")
    expect(compare.get_by_test_id("nbt-row").first).to_contain_text("<script>alert(1)</script>")
    expect(compare.get_by_test_id("nbt-chart").locator("svg").first).to_be_visible()
    compare.get_by_test_id("nbt-row").last.get_by_role("button").first.click()
    expect(compare.get_by_test_id("nbt-details")).to_contain_text("<img src=x onerror=alert(2)>")
    assert compare.locator("img, script, b:has-text('&amp;')").count() == 0
    page.screenshot(f"hostile-{theme}")

    report, problems = open_report(browser, page.folder / "report.html", theme)
    expect(report.get_by_test_id("nbt-row").first).to_contain_text("<script>alert(1)</script>")
    expect(report.get_by_test_id("nbt-chart").locator("svg").first).to_be_visible()
    report.screenshot(path=SCREENSHOTS / f"report-hostile-{theme}.png", full_page=True)
    assert dialogs == []
    assert problems == []
    report.context.close()


def test_empty_and_failed_states(notebook: OpenNotebook, browser: Browser) -> None:
    page = notebook(
        [
            "%load_ext nbtrack\nimport nbtrack",
            "nbtrack.compare()",
            "from sklearn.linear_model import LogisticRegression\n"
            "LogisticRegression(C=-1).fit([[0], [1]], [0, 1])",
            "nbtrack.compare()",
        ]
    )
    page.run_cell(0)
    page.run_cell(1)
    expect(page.output(1).get_by_test_id("nbt-compare")).to_contain_text("No runs yet")
    page.screenshot("empty-light")
    page.run_cell(2)
    page.run_cell(3)
    expect(page.output(2)).to_contain_text("failed")
    expect(page.output(2)).to_contain_text("InvalidParameterError")
    expect(page.output(3).get_by_test_id("nbt-row")).to_contain_text("failed")
    page.screenshot("failed-light")


def saved_html(page: NotebookPage, index: int) -> str:
    """Return the HTML of a cell's display as it is in the saved file."""
    cell = nbformat.read(page.path, as_version=4).cells[index]
    [found] = [o.data["text/html"] for o in cell.outputs if "text/html" in o.get("data", {})]
    return str(found)


def test_what_is_saved_reads_without_a_kernel(notebook: OpenNotebook) -> None:
    page = notebook(
        [
            "%load_ext nbtrack\nimport nbtrack",
            "with nbtrack.start_run(run_name='mine') as r: r.log_metric('loss', 0.5)",
            "nbtrack.compare()",
        ]
    )
    page.run_all()
    page.save()
    for index in (1, 2):
        html = saved_html(page, index)
        assert "mine" in html
        assert "0.5" in html
        assert "<script" not in html
