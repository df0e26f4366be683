"""The harness itself: a notebook runs in a real JupyterLab and its outputs are seen."""

from __future__ import annotations

import sys

import pytest
from playwright.sync_api import expect

from .conftest import OpenNotebook

pytestmark = pytest.mark.browser


def test_a_notebook_runs_in_its_own_folder(notebook: OpenNotebook) -> None:
    page = notebook(
        [
            "import sys\nprint('from', sys.executable)",
            "open('written.txt', 'w').write('by the kernel')",
        ]
    )
    page.run_all()
    expect(page.output(0)).to_contain_text(f"from {sys.executable}")
    assert (page.folder / "written.txt").read_text() == "by the kernel"
    assert page.screenshot("harness").stat().st_size > 1000


WIDGET = """
import anywidget
class Widget(anywidget.AnyWidget):
    _esm = "export default {render: ({el}) => { el.innerHTML = '<b class=it>here I am</b>'; }}"
Widget()
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_widget_renders_in_the_theme(notebook: OpenNotebook, theme: str) -> None:
    page = notebook([WIDGET], theme=theme)
    page.run_all()
    expect(page.output(0).locator("b.it")).to_have_text("here I am")
    is_light = page.page.evaluate("document.body.dataset.jpThemeLight")
    assert is_light == str(theme == "light").lower()
