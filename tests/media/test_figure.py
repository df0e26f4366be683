"""Figures as files: by the library that made them, and by no other."""

from __future__ import annotations

import importlib.machinery
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from nbtrack.errors import InvalidParameterError, MissingPackageError
from nbtrack.media import encode_figure, figure

PAGE_LOADS = re.compile(rb"""<(?:script|link)[^>]+(?:src|href)=["']?(?:https?:)?//""")


def matplotlib_figure() -> Any:
    drawn = pytest.importorskip("matplotlib.figure").Figure()
    drawn.subplots().plot([1, 2])
    return drawn


def plotly_figure() -> Any:
    go = pytest.importorskip("plotly.graph_objects")
    return go.Figure(go.Scatter(x=[0, 1], y=[2, 3]))


def altair_chart() -> Any:
    altair = pytest.importorskip("altair")
    return altair.Chart(altair.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q")


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("a.png", b"\x89PNG"),
        ("dir/a.PNG", b"\x89PNG"),
        ("a.pdf", b"%PDF"),
        ("a.svg", b"<?xml"),
        ("a.jpg", b"\xff\xd8\xff"),
    ],
)
def test_matplotlib(path: str, begins: bytes) -> None:
    assert encode_figure(matplotlib_figure(), path).startswith(begins)


def test_matplotlib_takes_arguments() -> None:
    drawn = matplotlib_figure()
    assert len(encode_figure(drawn, "a.png", {"dpi": 20})) < len(encode_figure(drawn, "a.png"))
    assert encode_figure(drawn, "a", {"format": "svg"}).startswith(b"<?xml")
    with pytest.raises(InvalidParameterError, match=r"cannot be saved as 'a.png': TypeError"):
        encode_figure(drawn, "a.png", {"dpi": "many"})


def test_a_subclass_of_the_users_is_a_figure() -> None:
    base = pytest.importorskip("matplotlib.figure").Figure
    assert encode_figure(type("Mine", (base,), {"__module__": "mine"})(), "a.png")[1:4] == b"PNG"


def test_plotly_opens_offline() -> None:
    page = encode_figure(plotly_figure(), "a.html")
    assert not PAGE_LOADS.search(page)
    assert b"Plotly.newPlot" in page
    assert len(page) > 1_000_000
    small = encode_figure(plotly_figure(), "a.html", {"include_plotlyjs": "cdn"})
    assert PAGE_LOADS.search(small)
    assert len(small) < 100_000


def test_plotly_as_json() -> None:
    assert json.loads(encode_figure(plotly_figure(), "a.json"))["data"][0]["y"] == [2, 3]


def test_altair() -> None:
    chart = altair_chart()
    assert b"vega" in encode_figure(chart, "a.html")
    assert json.loads(encode_figure(chart, "a.json"))["mark"]["type"] == "point"


def test_altair_opens_offline_with_vl_convert() -> None:
    chart = altair_chart()
    pytest.importorskip("vl_convert")
    assert not PAGE_LOADS.search(encode_figure(chart, "a.html"))
    assert encode_figure(chart, "a.png").startswith(b"\x89PNG")
    assert encode_figure(chart, "a.svg").startswith(b"<svg")


@pytest.mark.parametrize(
    ("make", "module", "package"),
    [(plotly_figure, "kaleido", "kaleido"), (altair_chart, "vl_convert", "vl-convert-python")],
)
def test_images_need_a_package(
    make: Any, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = make()

    def find(name: str) -> importlib.machinery.ModuleSpec | None:
        return None if name == module else importlib.machinery.ModuleSpec(name, None)

    monkeypatch.setattr(figure, "find_spec", find)
    with pytest.raises(MissingPackageError, match=package) as caught:
        encode_figure(drawn, "a.png")
    assert f"pip install {package}" in str(caught.value.hint)


@pytest.mark.parametrize("make", [matplotlib_figure, plotly_figure, altair_chart])
@pytest.mark.parametrize("path", ["a", "a.xyz", ".png/a", ""])
def test_an_unknown_extension_is_told(make: Any, path: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"end the path in one of .*\.png"):
        encode_figure(make(), path)


@pytest.mark.parametrize("value", [1, None, "a.png", object(), {}])
def test_what_is_no_figure_is_told(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="use a figure of matplotlib, plotly or altair"):
        encode_figure(value, "a.png")


def test_axes_are_no_figure() -> None:
    with pytest.raises(InvalidParameterError, match=r"ax\.figure"):
        encode_figure(matplotlib_figure().axes[0], "a.png")


def test_no_library_is_imported_for_another_object() -> None:
    code = """
import sys, nbtrack.media as m
from nbtrack.errors import InvalidParameterError
for call in (m.encode_figure, m.encode_dict, m.encode_text):
    try: call("x", "a.html")
    except InvalidParameterError: pass
try: m.encode_image("x")
except Exception: pass
print(sorted({"numpy", "pandas", "matplotlib", "plotly", "altair"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
