"""Files are those of MLflow, byte for byte or pixel by pixel: compared with what it wrote."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from nbtrack import media
from nbtrack.errors import InvalidParameterError

CASES = runpy.run_path(str(Path(__file__).with_name("record_mlflow.py")))
MLFLOW = json.loads(CASES["RECORDED"].read_text())
# MLflow makes one row with lists in it of columns that do not fit together; it is a mistake.
REFUSED = {"lengths that differ"}


@pytest.mark.parametrize("name", CASES["DICTS"])
def test_dicts(name: str) -> None:
    value, path = CASES["DICTS"][name]
    assert media.encode_dict(value, path).decode() == MLFLOW["dicts"][name]


@pytest.mark.parametrize("name", CASES["IMAGES"])
@pytest.mark.filterwarnings("ignore:Pixels from:UserWarning")
def test_images(name: str) -> None:
    pytest.importorskip("PIL")
    image, wanted = CASES["IMAGES"][name](), MLFLOW["images"][name]
    if wanted is None:
        with pytest.raises(InvalidParameterError) as caught:
            media.encode_image(image)
        assert caught.value.hint
        return
    assert CASES["pixels"](media.encode_image(image)) == wanted
    seen = {
        Path(path).suffix: CASES["pixels"](data)
        for path, data in media.encode_stepped(image, "k", 1, 2).items()
    }
    shapes = {suffix: [found["mode"], found["size"]] for suffix, found in seen.items()}
    assert shapes == MLFLOW["previews"][name]


@pytest.mark.parametrize("key", CASES["KEYS"])
def test_names_of_images(key: str) -> None:
    wanted = MLFLOW["keys"][key]
    if wanted is None:
        with pytest.raises(InvalidParameterError, match="is no key for an image"):
            media.stepped_names(key, 7, 1700000000000, "UUID")
    else:
        assert sorted(media.stepped_names(key, 7, 1700000000000, "UUID")) == wanted


@pytest.mark.parametrize("name", CASES["TABLES"])
def test_tables(name: str) -> None:
    def written() -> Any:
        content = None
        for make in CASES["TABLES"][name]:
            content = media.encode_table(make(), "t.json", content)["t.json"]
        return json.loads(content or b"")

    wanted = MLFLOW["tables"][name]
    if wanted is None or name in REFUSED:
        with pytest.raises(InvalidParameterError):
            written()
    else:
        assert written() == json.loads(wanted)
        frame = media.decode_table(wanted.encode(), "t.json")
        assert list(frame.columns) == json.loads(wanted)["columns"]
