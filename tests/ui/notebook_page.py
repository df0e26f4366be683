"""One notebook, open in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Request, Route

from .lab import LabServer

Theme = Literal["light", "dark"]

SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",  # Chromium's sandbox does not start for root, as in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The last fence, for what pages cannot be asked about: WebSockets, service workers.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

# How errors start that Jupyter itself reports, for any notebook.
KNOWN_NOISE = {
    "lab": (),
    "notebook": ("Cannot read properties of undefined (reading 'schema')",),  # 7.6
}

_READY = """path => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.context?.isReady && panel.context.path === path
        && panel.sessionContext?.session?.kernel?.status === 'idle';
}"""
_START = "([name, args]) => { window.started = window.jupyterapp.commands.execute(name, args); }"
_WAIT = """async milliseconds => {
    const error = new Error(`what was started still runs after ${milliseconds} ms`);
    const late = new Promise((_, reject) => setTimeout(reject, milliseconds, error));
    await Promise.race([window.started, late]);
}"""
_SELECT = "i => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }"
_CELL_COUNT = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
_OUTPUTS = """i => {
    const cell = window.jupyterapp.shell.currentWidget.content.widgets[i].model;
    return cell.outputs?.toJSON() ?? [];
}"""
_HEIGHT = """() => {
    const node = document.querySelector('.jp-Notebook');
    const outer = [node, ...node.querySelectorAll('.jp-WindowedPanel-outer')];
    return window.innerHeight + Math.max(...outer.map(n => n.scrollHeight - n.clientHeight));
}"""


class NotebookPage:
    """A notebook that is open, with its kernel idle. Cells count from 0.

    Parameters
    ----------
    browser
        Where to open it, in a context of its own.
    server
        The server that has it.
    path
        The notebook's file.
    theme
        Theme of the page, and what the page is told of the system's.

    Attributes
    ----------
    page
        Playwright's page.
    problems
        What went wrong in the page, as text: errors on the console, uncaught exceptions,
        requests to other machines (which are refused). A test that causes one clears the list.
    """

    def __init__(
        self, browser: Browser, server: LabServer, path: Path, theme: Theme = "light"
    ) -> None:
        self.path = path
        self.folder = path.parent
        self.problems: list[str] = []
        self._server = server
        server.set_theme(theme)
        self._context = browser.new_context(
            viewport={"width": 1400, "height": 900}, color_scheme=theme
        )
        self._context.route(_is_elsewhere, self._refuse)
        self.page = self._context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_page_error)
        inside = path.relative_to(server.root).as_posix()
        view = {"lab": "lab/tree", "notebook": "notebooks"}[server.app]
        # `reset` keeps JupyterLab from opening what earlier pages left open.
        self.page.goto(f"{server.url}/{view}/{quote(inside)}?token={server.token}&reset")
        self.page.wait_for_function(_READY, arg=inside, timeout=60_000)

    def start(self, command: str = "notebook:run-all-cells", **arguments: Any) -> None:
        """Start one of Jupyter's commands by its id, without waiting for its end."""
        self.page.evaluate(_START, [command, arguments])

    def wait(self, seconds: float = 120) -> None:
        """Wait until what was started has ended: for cells, until the kernel is idle again."""
        self.page.evaluate(_WAIT, seconds * 1000)

    def run_all(self, *, allow_errors: bool = False, seconds: float = 120) -> None:
        """Run all cells and wait for their end; a cell that raised fails the test."""
        self.start()
        self.wait(seconds)
        if not allow_errors and self.errors():
            raise AssertionError("\n".join(self.errors()))

    def select(self, index: int) -> None:
        """Make a cell the active one."""
        self.page.evaluate(_SELECT, index)

    def run_cell(self, index: int, *, seconds: float = 120) -> None:
        """Run one cell and wait for its end."""
        self.select(index)
        self.start("notebook:run-cell")
        self.wait(seconds)

    def save(self) -> None:
        """Save the notebook to its file."""
        self.start("docmanager:save")
        self.wait()

    def cell(self, index: int) -> Locator:
        """Return the whole cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """Return everything that stands below a cell."""
        return self.cell(index).locator(".jp-Cell-outputWrapper")

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return a cell's outputs as they would be saved (nbformat), the MIME bundles too."""
        result: list[dict[str, Any]] = self.page.evaluate(_OUTPUTS, index)
        return result

    def errors(self) -> list[str]:
        """Return what cells raised, as ``"cell 2: ValueError: ..."``."""
        return [
            f"cell {index}: {output['ename']}: {output['evalue']}"
            for index in range(self.page.evaluate(_CELL_COUNT))
            for output in self.outputs(index)
            if output["output_type"] == "error"
        ]

    def screenshot(self, name: str) -> Path:
        """Write a picture of the whole notebook to ``screenshots/<name>.png``."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        before = self.page.viewport_size
        assert before is not None
        self.page.set_viewport_size({**before, "height": min(self.page.evaluate(_HEIGHT), 16_000)})
        self.page.evaluate("document.querySelector('.jp-Notebook').scrollTop = 0")
        self.page.locator(".jp-Notebook").screenshot(path=path)
        self.page.set_viewport_size(before)
        return path

    def close(self) -> None:
        """Close the page and end the notebook's kernel."""
        self._context.close()
        self._server.shut_down_kernel(self.path)

    def _refuse(self, route: Route, request: Request) -> None:
        self.problems.append(f"request to another machine: {request.method} {request.url}")
        route.abort("blockedbyclient")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self._is_noise(message.text):
            self.problems.append(f"console: {message.text} ({message.location.get('url')})")

    def _on_page_error(self, error: Error) -> None:
        if not self._is_noise(str(error)):
            self.problems.append(f"uncaught: {error}")

    def _is_noise(self, text: str) -> bool:
        return text.startswith(KNOWN_NOISE[self._server.app])


def _is_elsewhere(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and parts.hostname != "127.0.0.1"
