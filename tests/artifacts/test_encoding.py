"""Contents to what is stored of them, and back, in pieces of any size."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.artifacts.digest import sha256
from nbtrack.artifacts.encoding import CHUNK, Encoder, decoded
from nbtrack.errors import IntegrityError


@given(
    pieces=st.lists(st.binary(max_size=300), max_size=8),
    cut=st.integers(1, 50),
    encoding=st.sampled_from(["raw", "zstd"]),
)
def test_it_comes_back(pieces: list[bytes], cut: int, encoding: str) -> None:
    data = b"".join(pieces)
    encoder = Encoder(encoding)
    stored = b"".join(bytes(encoder.encode(memoryview(piece))) for piece in pieces)
    stored += encoder.finish()
    cuts = (stored[i : i + cut] for i in range(0, len(stored), cut))
    if encoding == "zstd" and cut < 18:  # a frame's header comes in one piece
        cuts = iter([stored])
    assert b"".join(decoded(cuts, encoding, len(data), sha256(data), "content")) == data


@given(data=st.binary(min_size=1, max_size=200), place=st.integers(0), flip=st.integers(1, 255))
def test_no_change_gets_through(data: bytes, place: int, flip: int) -> None:
    for encoding, stored in (("raw", data), ("zstd", zstandard.compress(data))):
        changed = bytearray(stored)
        changed[place % len(stored)] ^= flip
        try:
            found = b"".join(
                decoded(iter([bytes(changed)]), encoding, len(data), sha256(data), "content")
            )
        except IntegrityError:
            continue
        assert found == data  # a bit of the frame that means nothing


def test_a_frame_that_unpacks_to_more_is_stopped() -> None:
    packer = zstandard.ZstdCompressor(level=1).compressobj()  # says no size
    bomb = b"".join(packer.compress(bytes(CHUNK)) for _ in range(200)) + packer.flush()
    seen = []
    with pytest.raises(IntegrityError, match="do not match"):
        seen.extend(decoded(iter([bomb]), "zstd", 10, sha256(b"0123456789"), "content"))
    assert seen == []


def test_a_frame_that_needs_too_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stored = packer.compress(b"abc") + packer.flush()
    with pytest.raises(IntegrityError, match="cannot be read"):
        list(decoded(iter([stored]), "zstd", 3, sha256(b"abc"), "content"))


@pytest.mark.parametrize("encoding", ["lzma", "", "RAW"])
def test_an_unknown_encoding(encoding: str) -> None:
    with pytest.raises(IntegrityError, match="it is encoded as"):
        list(decoded(iter([b"abc"]), encoding, 3, sha256(b"abc"), "content"))
