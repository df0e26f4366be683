"""Figures of matplotlib, plotly and altair as files. Imports none of them: the figure knows how."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from nbtrack.errors import InvalidParameterError, MissingPackageError
from nbtrack.media.optional import extension, library_of

_PLOTLY_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".svg", ".pdf")
_ALTAIR_IMAGES = (".png", ".svg", ".pdf")


def encode_figure(figure: Any, path: str, save_kwargs: Mapping[str, Any] | None = None) -> bytes:
    """Return a figure as the content of a file whose extension says the format.

    ======================= ======================================= ============================
    figure                  extensions                              needs
    ======================= ======================================= ============================
    matplotlib              .png .pdf .svg .jpg .webp ...
    plotly                  .html .json; .png .jpg .webp .svg .pdf  kaleido, for the images
    altair                  .html .json; .png .svg .pdf             vl-convert-python, for images
    ======================= ======================================= ============================

    HTML of plotly has the library in it (about 5 MB, compressed to a third when it is kept), so
    that it opens without a network; ``save_kwargs={"include_plotlyjs": "cdn"}`` leaves it out.
    HTML of altair has its library in it where vl-convert-python is installed.

    Parameters
    ----------
    figure
        Figure of one of the three libraries.
    path
        Where it goes among the artifacts; only its extension counts.
    save_kwargs
        Passed to the method of the library that saves: ``savefig``, ``write_html``,
        ``to_image``, ``save``.

    Raises
    ------
    InvalidParameterError
        It is no figure, or cannot be saved in this way.
    MissingPackageError
        What saves images is not installed.
    """
    options = dict(save_kwargs or {})
    library = library_of(figure, {"matplotlib", "plotly", "altair"})
    ending = extension(path)
    if library == "matplotlib" and hasattr(figure, "savefig"):
        return _matplotlib(figure, path, ending, options)
    if library == "plotly" and hasattr(figure, "to_plotly_json"):
        return _plotly(figure, path, ending, options)
    if library == "altair" and hasattr(figure, "save"):
        return _altair(figure, path, ending, options)
    raise InvalidParameterError(
        f"A {type(figure).__module__}.{type(figure).__name__} is no figure that can be logged; "
        "use a figure of matplotlib, plotly or altair.",
        hint="Of matplotlib's axes log the figure: ax.figure; of a seaborn grid: grid.figure.",
    )


def _matplotlib(figure: Any, path: str, ending: str, options: dict[str, Any]) -> bytes:
    options = {"format": ending.removeprefix("."), **options}
    known = [f".{name}" for name in sorted(figure.canvas.get_supported_filetypes())]
    if f".{options['format']}".lower() not in known:
        raise _unknown("matplotlib", path, known)
    file = io.BytesIO()
    _save(path, lambda: figure.savefig(file, **options))
    return file.getvalue()


def _plotly(figure: Any, path: str, ending: str, options: dict[str, Any]) -> bytes:
    if ending in {".html", ".json"}:
        page = io.StringIO()
        if ending == ".html":
            options = {"include_plotlyjs": True, **options}
            _save(path, lambda: figure.write_html(page, **options))
        else:
            _save(path, lambda: figure.write_json(page, **options))
        return page.getvalue().encode()
    if ending not in _PLOTLY_IMAGES:
        raise _unknown("plotly", path, (".html", ".json", *_PLOTLY_IMAGES))
    _need_for(path, "kaleido", "kaleido")
    options = {"format": ending.removeprefix("."), **options}
    return bytes(_save(path, lambda: figure.to_image(**options)))


def _altair(figure: Any, path: str, ending: str, options: dict[str, Any]) -> bytes:
    options = {"format": ending.removeprefix("."), **options}
    ending = f".{options['format']}"
    if ending not in {".html", ".json", *_ALTAIR_IMAGES}:
        raise _unknown("altair", path, (".html", ".json", *_ALTAIR_IMAGES))
    if ending in _ALTAIR_IMAGES:
        _need_for(path, "vl_convert", "vl-convert-python")
    if ending == ".html" and find_spec("vl_convert") is not None:
        options.setdefault("inline", True)
    if ending in {".png", ".pdf"}:
        file = io.BytesIO()
        _save(path, lambda: figure.save(file, **options))
        return file.getvalue()
    page = io.StringIO()
    _save(path, lambda: figure.save(page, **options))
    return page.getvalue().encode()


def _save(path: str, save: Callable[[], Any]) -> Any:
    try:
        return save()
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise InvalidParameterError(
            f"The figure cannot be saved as {path!r}: {type(error).__name__}: {reason}.",
            hint="Saving it by the library's own method shows more; see also save_kwargs.",
        ) from error


def _need_for(path: str, module: str, package: str) -> None:
    if find_spec(module) is None:
        raise MissingPackageError(
            f"Saving this figure as {path!r} needs the package '{package}'.",
            hint=f"pip install {package}, or log it as .html.",
        )


def _unknown(library: str, path: str, known: Iterable[str]) -> InvalidParameterError:
    return InvalidParameterError(
        f"A figure of {library} cannot be saved as {path!r}; end the path in one of "
        f"{', '.join(known)}.",
        hint="The extension of the path says the format.",
    )
