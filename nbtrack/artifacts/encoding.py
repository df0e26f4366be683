"""How contents are stored: as they are, or compressed; read back in pieces, and verified."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from nbtrack.errors import IntegrityError

CHUNK = 2**20
RAW, ZSTD = "raw", "zstd"
SAMPLE = 2**18
_PAYS = 0.9  # compressed to less than this share, or kept raw
_LEVEL = 3  # measured on forests: a fifth of the pickle at 0.4 GB/s; higher levels gain little
_MAX_WINDOW = 2**27  # a frame may claim any, and room for it would be made


def pays(sample: bytes | memoryview) -> bool:
    """Return whether it pays to compress what a sample was taken from.

    Examples
    --------
    >>> pays(b"abc" * 1000), pays(b"")
    (True, False)
    """
    import zstandard

    compressed = zstandard.ZstdCompressor(level=_LEVEL).compress(sample)
    return bool(sample) and len(compressed) <= _PAYS * len(sample)


def encode(data: bytes) -> tuple[str, bytes]:
    """Return how short bytes are stored, and what is.

    Examples
    --------
    >>> encode(b"12")
    ('raw', b'12')
    """
    import zstandard

    middle = max(0, (len(data) - SAMPLE) // 2)
    if not pays(data[middle : middle + SAMPLE]):
        return RAW, data
    return ZSTD, zstandard.ZstdCompressor(level=_LEVEL).compress(data)


class Encoder:
    """Bytes to what is stored of them, a piece at a time.

    Parameters
    ----------
    encoding
        ``raw`` or ``zstd``.
    """

    def __init__(self, encoding: str) -> None:
        import zstandard

        self._packer = (
            zstandard.ZstdCompressor(level=_LEVEL).compressobj() if encoding == ZSTD else None
        )

    def encode(self, data: memoryview) -> bytes | memoryview:
        """Return what is to be stored next; perhaps nothing yet."""
        return data if self._packer is None else self._packer.compress(data)

    def finish(self) -> bytes:
        """Return what is left to be stored."""
        return b"" if self._packer is None else self._packer.flush()


def decoded(
    stored: Iterator[bytes], encoding: str, size: int, digest: str, what: str
) -> Iterator[bytes]:
    """Yield a content in pieces; the last one only if all of it is what the digest says.

    Parameters
    ----------
    stored
        What is stored of it, in pieces of any size.
    encoding, size, digest
        What was noted of it.
    what
        What it is, for errors: ``artifact 'a' of run ...``.

    Raises
    ------
    IntegrityError
        It is damaged, and which one it is.
    """
    found, length, last = hashlib.sha256(), 0, b""
    for piece in _plain(stored, encoding, size, what):
        found.update(piece)
        length += len(piece)
        if length > size:
            break
        if last:
            yield last
        last = piece
    if length != size or digest != f"sha256:{found.hexdigest()}":
        raise IntegrityError(
            f"The {what} is not what was stored: its bytes do not match {digest}.",
            hint="Take the database from a backup.",
        )
    if last:
        yield last


def _plain(stored: Iterator[bytes], encoding: str, size: int, what: str) -> Iterator[bytes]:
    if encoding == RAW:
        yield from stored
        return
    import zstandard

    try:
        if encoding != ZSTD:
            raise zstandard.ZstdError(f"it is encoded as {encoding!r}")
        first = next(stored, b"")
        # The database can come from anywhere: no room is made for what a frame claims.
        if zstandard.frame_content_size(first) not in {size, -1}:  # -1: it claims none
            raise zstandard.ZstdError("its size is not what was noted")
        source = cast("BinaryIO", Stored(stored, first))
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        with unpacker.stream_reader(source, read_size=CHUNK) as reader:
            while piece := reader.read(CHUNK):
                yield piece
        if source.read(1):
            raise zstandard.ZstdError("something follows its end")
    except zstandard.ZstdError as error:
        raise IntegrityError(
            f"The {what} cannot be read: {error}.", hint="Take the database from a backup."
        ) from error


class Stored:
    """Pieces of bytes as a file that is read."""

    def __init__(self, pieces: Iterator[bytes], first: bytes = b"") -> None:
        self._pieces = pieces
        self._piece = io.BytesIO(first)

    def read(self, size: int) -> bytes:
        """Return some of the bytes; none at the end."""
        while not (part := self._piece.read(size)):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece = io.BytesIO(piece)
        return part
