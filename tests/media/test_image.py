"""Images as files: what is taken, what is refused, and how."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError, MissingPackageError, NotFoundError
from nbtrack.media import (
    Image,
    encode_image,
    encode_preview,
    encode_stepped,
    stepped_names,
    to_pil,
)

pil = pytest.importorskip("PIL.Image")


def opened(data: bytes) -> Any:
    return pil.open(io.BytesIO(data))


def test_pil_images_and_their_like_are_taken() -> None:
    picture = pil.new("RGB", (3, 2), "red")
    assert to_pil(picture) is picture
    assert to_pil(Image(picture)) is picture
    assert opened(encode_image(picture)).getpixel((2, 1)) == (255, 0, 0)


def test_an_image_of_ours_has_mlflows_methods(tmp_path: Path) -> None:
    image = Image([[0, 255, 0], [1, 2, 3]])
    assert image.size == (3, 2)
    assert image.to_list() == [0, 255, 0, 1, 2, 3]
    assert image.to_array().tolist() == [[0, 255, 0], [1, 2, 3]]
    assert image.resize((6, 4)).size == (6, 4)
    image.save(str(tmp_path / "a.png"))
    assert Image(str(tmp_path / "a.png")).to_list() == image.to_list()
    assert Image(np.zeros((1, 1, 3), "uint8")).to_list() == [(0, 0, 0)]


def test_a_file_that_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(InvalidParameterError, match="cannot be read as an image"):
        Image(tmp_path / "a.png")
    with pytest.raises(NotFoundError, match="no image file"):
        Image(str(tmp_path / "b.png"))


def test_the_extension_says_the_format() -> None:
    array = np.zeros((4, 4, 3))
    formats = {".png": "PNG", ".jpg": "JPEG", ".JPEG": "JPEG", ".webp": "WEBP", "a/b.gif": "GIF"}
    for suffix, name in formats.items():
        assert opened(encode_image(array, suffix)).format == name


@pytest.mark.parametrize("suffix", [".xyz", "", "png", "a/b", ".png/.."])
def test_an_unknown_format_is_told(suffix: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"use one of .*\.png"):
        encode_image(np.zeros((2, 2)), suffix)


def test_what_a_format_cannot_hold_is_told() -> None:
    with pytest.raises(InvalidParameterError, match=r"mode RGBA .* cannot be written as '.jpg'"):
        encode_image(np.zeros((2, 2, 4)), ".jpg")


def test_channels_first_has_a_hint() -> None:
    with pytest.raises(InvalidParameterError, match=r"shape \(3, 8, 8\)") as caught:
        encode_image(np.zeros((3, 8, 8)))
    assert "moveaxis" in str(caught.value.hint)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0, 3), (2, 2, 3, 1), ()])
def test_arrays_without_pixels_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="is no image"):
        encode_image(np.zeros(shape))


def test_floats_beyond_are_scaled_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"Pixels from -1\.0 to 3\.0 are out of range"):
        data = encode_image(np.array([[-1.0, 3.0, 1.0]]))
    assert np.array(opened(data)).tolist() == [[0, 255, 127]]
    with pytest.warns(UserWarning, match="out of range"):
        assert np.array(opened(encode_image(np.full((1, 1), 7.0)))).tolist() == [[0]]


def test_nan_and_infinities_are_drawn() -> None:
    with pytest.warns(UserWarning, match="drawn as black and white"):
        data = encode_image(np.array([[np.nan, np.inf, 0.5, -np.inf, 1.0, 0.0]]))
    assert np.array(opened(data)).tolist() == [[0, 255, 127, 0, 255, 0]]
    with pytest.warns(UserWarning, match="drawn as black and white"):
        assert np.array(opened(encode_image(np.full((1, 1), np.nan)))).tolist() == [[0]]


class Tensor:
    """What is used of a torch tensor."""

    __module__ = "torch"

    def __init__(self, array: Any) -> None:
        self.array = array

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def is_floating_point(self) -> bool:
        return self.array.dtype.kind == "f"

    def float(self) -> Tensor:
        return Tensor(self.array.astype("float32"))

    def numpy(self) -> Any:
        return self.array


@pytest.mark.parametrize("array", [np.arange(12, dtype="uint8").reshape(2, 2, 3), np.eye(3)])
def test_tensors_are_taken(array: Any) -> None:
    assert encode_image(Tensor(array)) == encode_image(array)


def test_previews_keep_a_pixel() -> None:
    assert opened(encode_preview(np.zeros((1, 2000)))).size == (256, 1)
    assert opened(encode_preview(np.zeros((2, 4)))).size == (256, 128)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "F"])
def test_previews_of_all_modes(mode: str) -> None:
    assert opened(encode_preview(pil.new(mode, (8, 8)))).size == (256, 256)


def test_the_two_files_of_a_series() -> None:
    files = encode_stepped(np.zeros((2, 2)), "val/dogs", 3, 17)
    full, preview = sorted(files, key=len)
    assert full.startswith("images/val~dogs+step+3+timestamp+17+")
    assert preview == full.removesuffix(".png") + "+compressed.webp"
    assert [opened(files[name]).format for name in (full, preview)] == ["PNG", "WEBP"]


@pytest.mark.parametrize(("step", "timestamp"), [(1.5, 0), (0, None), ("1", 0)])
def test_steps_and_times_are_whole_numbers(step: Any, timestamp: Any) -> None:
    with pytest.raises(InvalidParameterError, match="use a whole number"):
        stepped_names("a", step, timestamp, "u")


@given(key=st.text(st.sampled_from("/.~ a-_#\n\0") | st.characters()))
def test_a_key_never_leaves_its_folder(key: str) -> None:
    try:
        names = stepped_names(key, 0, 0, "u")
    except InvalidParameterError:
        return
    for name in names:
        assert name.startswith("images/")
        assert name.count("/") == 1


@pytest.mark.parametrize("call", [encode_image, encode_preview, to_pil, Image])
def test_without_pillow_there_is_a_hint(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingPackageError, match="needs the package 'pillow'") as caught:
        call(np.zeros((2, 2)))
    assert caught.value.hint == "pip install pillow"
