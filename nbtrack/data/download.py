"""A file from a web address: whole or not at all, and under a name that is no path."""

from __future__ import annotations

import re
import shutil
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nbtrack.errors import StoreError

_TIMEOUT_S = 60.0
_CONTROL = re.compile(r"[\0-\x1f\x7f]")


def download(url: str, folder: Path) -> Path:
    """Download a file into a folder, and return its path.

    Raises
    ------
    StoreError
        The server did not give the file, or not all of it; or it cannot be written.
    """
    import urllib.request

    part: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Only http and https come here: a source of another scheme is refused when it is made.
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            target = folder / file_name(answer.headers.get("Content-Disposition"), url)
            part = target.with_name(f"{target.name}.part")
            with part.open("wb") as file:
                shutil.copyfileobj(answer, file)
            length, came = answer.headers.get("Content-Length"), part.stat().st_size
        if length is not None and int(length) != came:
            raise OSError(f"{length} bytes were promised, and {came} came")
        part.replace(target)
    except (OSError, ValueError, HTTPException) as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise StoreError(
            f"{url!r} cannot be downloaded: {error}.",
            hint="Open the address in a browser to see whether the file still is there.",
        ) from error
    return target


def file_name(disposition: str | None, url: str) -> str:
    """Return the name for a downloaded file: never a path, whatever the server says.

    Examples
    --------
    >>> file_name('attachment; filename="../../evil.csv"', "https://example.org/x")
    'evil.csv'
    >>> file_name(None, "https://example.org/data/wine%20red.csv?v=2")
    'wine red.csv'
    """
    from email.message import Message

    message = Message()
    # A header is latin-1, on one line.
    header = (disposition or "attachment").encode("latin-1", "replace").decode("latin-1")
    message["Content-Disposition"] = _CONTROL.sub("", header)
    named = message.get_filename() or unquote(urlsplit(url).path)
    name = _CONTROL.sub("", re.split(r"[/\\:]", named)[-1])
    return name if name.strip(". ") else "dataset_source"
