"""The harness itself: notebooks run in a real Jupyter, and what goes wrong there is seen."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect

from .conftest import OpenNotebook, write_notebook
from .lab import LabServer
from .notebook_page import NotebookPage, Theme

pytestmark = pytest.mark.browser


def test_a_notebook_runs_in_its_own_folder(notebook: OpenNotebook) -> None:
    page = notebook(
        [
            "import sys\nprint('from', sys.prefix)",
            "_ = open('written.txt', 'w').write('by the kernel')",
        ]
    )
    page.run_all()
    expect(page.output(0)).to_contain_text(f"from {sys.prefix}")
    assert (page.folder / "written.txt").read_text() == "by the kernel"
    page.save()
    assert "by the kernel" in page.path.read_text()
    assert page.screenshot("harness").stat().st_size > 1000


WIDGET = """
import anywidget
class Widget(anywidget.AnyWidget):
    _esm = "export default {render: ({el}) => { el.innerHTML = '<b class=it>here I am</b>'; }}"
Widget()
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_widget_renders_in_the_theme(notebook: OpenNotebook, theme: Theme) -> None:
    page = notebook([WIDGET], theme=theme)
    page.run_all()
    expect(page.output(0).locator("b.it")).to_have_text("here I am")
    is_light = page.page.evaluate("document.body.dataset.jpThemeLight")
    assert is_light == str(theme == "light").lower()


def test_a_cell_that_raises_fails_the_run(notebook: OpenNotebook) -> None:
    page = notebook(["1 / 0", "print('not reached')"])
    with pytest.raises(AssertionError, match="cell 0: ZeroDivisionError"):
        page.run_all()
    assert page.outputs(1) == []


def test_a_cell_that_does_not_end_is_reported(notebook: OpenNotebook) -> None:
    page = notebook(["import time; time.sleep(60)"])
    with pytest.raises(Error, match="still runs after 500 ms"):
        page.run_all(seconds=0.5)


def test_what_goes_wrong_in_the_page_is_recorded(notebook: OpenNotebook) -> None:
    page = notebook(["from IPython.display import HTML; HTML('<img src=//example.com/a.png>')"])
    page.run_all()
    page.page.evaluate("console.error('said by the test')")
    page.page.evaluate("setTimeout(() => { throw new Error('thrown by the test'); })")
    page.page.wait_for_timeout(500)
    seen = "\n".join(page.problems)
    page.problems.clear()
    assert "request to another machine: GET http://example.com/a.png" in seen
    assert "console: said by the test" in seen
    assert "uncaught: thrown by the test" in seen


@pytest.mark.skipif(not importlib.util.find_spec("notebook"), reason="Notebook 7 is not installed")
def test_a_widget_renders_in_notebook_7(browser: Browser, tmp_path: Path) -> None:
    with LabServer(tmp_path / "home", app="notebook") as server:
        path = server.root / "notebook.ipynb"
        write_notebook(path, [WIDGET])
        page = NotebookPage(browser, server, path)
        page.run_all()
        expect(page.output(0).locator("b.it")).to_have_text("here I am")
        page.close()
    assert page.problems == []
