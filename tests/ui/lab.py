"""A real Jupyter server for browser tests: JupyterLab, or Notebook 7."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

START_SECONDS = 90
STOP_SECONDS = 15

# What would make pages of the same notebook differ, or look things up on the network.
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension:notification": {
        "checkForUpdates": False,
        "doNotDisturbMode": True,
        "fetchNews": "false",
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    # Only cells in view are in the page otherwise.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


class LabServer:
    """A server on a free loopback port; kernels run this very Python, in the notebook's folder.

    Settings, runtime files and history go to folders below `home`, so nothing of the user's is
    read or changed. Use it as a context manager.

    Parameters
    ----------
    home
        An empty folder. Notebooks go into its subfolder ``notebooks``, see `root`.
    app
        JupyterLab, or Notebook 7.
    """

    def __init__(self, home: Path, app: Literal["lab", "notebook"] = "lab") -> None:
        self.home = home
        self.root = home / "notebooks"
        self.app = app
        self.token = secrets.token_hex(16)
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True)
        for plugin, values in SETTINGS.items():
            self._write_settings(plugin, values)
        module = {"lab": "jupyterlab", "notebook": "notebook"}[self.app]
        command = [
            *(sys.executable, "-m", module),
            "--no-browser",
            "--allow-root",
            "--expose-app-in-browser",  # pages are driven through `window.jupyterapp`
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port=0",
            "--ServerApp.terminals_enabled=False",
            f"--ServerApp.root_dir={self.root}",
            f"--IdentityProvider.token={self.token}",
        ]
        folders = {
            "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
        }
        with (self.home / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.root,
                env=os.environ | {name: str(self.home / at) for name, at in folders.items()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a process group of its own, to be ended as one
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self._stop(self._process)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._stop(self._process)

    def request(self, path: str, method: str = "GET") -> Any:
        """Call the server's REST API; return the decoded answer, or None if it is empty."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        # The server is on this machine, whatever proxy the environment names.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            body = response.read()
        return json.loads(body) if body else None

    def set_theme(self, theme: Literal["light", "dark"]) -> None:
        """Choose the theme of pages opened from now on."""
        self._write_settings(
            "@jupyterlab/apputils-extension:themes",
            {"theme": f"JupyterLab {theme.capitalize()}", "adaptive-theme": False},
        )

    def shut_down_kernel(self, notebook: Path) -> None:
        """End the kernel of a notebook, if it has one."""
        for session in self.request("/api/sessions"):
            if self.root / session["path"] == notebook:
                self.request(f"/api/sessions/{session['id']}", "DELETE")

    def log(self) -> str:
        """Return what the server has said so far."""
        return (self.home / "server.log").read_text(errors="replace")

    def _write_settings(self, plugin: str, values: dict[str, Any]) -> None:
        extension, _, name = plugin.partition(":")
        path = self.home / "settings" / extension / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the server has said where it listens, and answers there."""
        info = self.home / "runtime" / f"jpserver-{process.pid}.json"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
            try:
                self.url = json.loads(info.read_text())["url"].rstrip("/")
                self.request("/api/status")
            except (OSError, json.JSONDecodeError):
                continue  # not written, written in part, or not listening yet
            return
        raise RuntimeError(f"the Jupyter server did not start:\n{self.log()[-4000:]}")

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        """End the server, which ends its kernels; they also notice by themselves if it is gone."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
