"""Fixtures of the browser tests: one server and one browser, and notebooks to open in them."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import nbformat
import pytest
from playwright.sync_api import Browser, sync_playwright

from .lab import LabServer
from .notebook_page import CHROMIUM_ARGUMENTS, NotebookPage, Theme

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class OpenNotebook(Protocol):
    """What the fixture `notebook` gives."""

    def __call__(self, content: Sequence[str] | Path, *, theme: Theme = "light") -> NotebookPage:
        """Open a notebook in a folder of its own: with these code cells, or a copy of a file."""


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells for this Python's kernel."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """Run one JupyterLab for all tests: a start takes seconds."""
    with LabServer(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Run one headless Chromium for all tests: $CHROMIUM, or the machine's."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("browser tests need Chromium: install it, or set CHROMIUM to its program")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def notebook(
    lab: LabServer, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[OpenNotebook]:
    """Open notebooks; afterwards, fail if anything went wrong in their pages."""
    pages: list[NotebookPage] = []
    numbers = itertools.count(1)

    def open_notebook(content: Sequence[str] | Path, *, theme: Theme = "light") -> NotebookPage:
        folder = lab.root / f"{request.node.name}-{next(numbers)}"
        folder.mkdir()
        path = folder / "notebook.ipynb"
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            write_notebook(path, content)
        pages.append(NotebookPage(browser, lab, path, theme))
        return pages[-1]

    yield open_notebook
    for page in pages:
        page.close()
    problems = [problem for page in pages for problem in page.problems]
    assert problems == [], "went wrong in the page"
