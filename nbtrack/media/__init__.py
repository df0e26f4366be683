"""Objects as the bytes of files: texts, dicts, images, figures, tables. Pure.

Everything is in MLflow's names and formats. Nothing is written: what comes back is the content of
a file, or several of them by their path among the artifacts of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack._lazy import attach

if TYPE_CHECKING:
    from nbtrack.media.figure import encode_figure
    from nbtrack.media.image import (
        Image,
        encode_image,
        encode_preview,
        encode_stepped,
        stepped_names,
        to_pil,
    )
    from nbtrack.media.plot import PLOTS, Plot, decode_plot
    from nbtrack.media.table import add_table, decode_table, encode_table, logged_tables
    from nbtrack.media.text import encode_dict, encode_text

__all__ = [
    "PLOTS",
    "Image",
    "Plot",
    "add_table",
    "decode_plot",
    "decode_table",
    "encode_dict",
    "encode_figure",
    "encode_image",
    "encode_preview",
    "encode_stepped",
    "encode_table",
    "encode_text",
    "logged_tables",
    "stepped_names",
    "to_pil",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "Image": ".image",
        "PLOTS": ".plot",
        "Plot": ".plot",
        "add_table": ".table",
        "decode_plot": ".plot",
        "decode_table": ".table",
        "encode_dict": ".text",
        "encode_figure": ".figure",
        "encode_image": ".image",
        "encode_preview": ".image",
        "encode_stepped": ".image",
        "encode_table": ".table",
        "encode_text": ".text",
        "logged_tables": ".table",
        "stepped_names": ".image",
        "to_pil": ".image",
    },
)
