"""The built files of the front end, which the packages carry and git does not."""

from __future__ import annotations

from importlib.resources import files

from nbtrack.errors import NbtrackError


def read_bundle(name: str) -> str:
    """Return a bundle's text: ``widget.js``, ``plotly.js`` or ``report.js``.

    Raises
    ------
    NbtrackError
        It was not built: nbtrack runs from a source tree that was never installed.
    """
    try:
        return (files("nbtrack") / "static" / name).read_text("utf-8")
    except FileNotFoundError:
        raise NbtrackError(
            f"The front end of this nbtrack was not built ({name} is missing).",
            hint="Install it: pip install nbtrack, or in a source tree: pip install -e .",
        ) from None
