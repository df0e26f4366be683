"""Images as files: what ``log_image`` takes, by MLflow's rules for shapes, ranges and names."""

from __future__ import annotations

import io
import os
import re
import uuid
import warnings
from typing import Any

from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.media.optional import extension, library_of, need

LOGGED_IMAGES_TAG = "mlflow.loggedImages"  # its value is "True"
PREVIEW_SIZE = 256
_WHITE = 255
_ACCEPTED = (
    "use a numpy array of H x W, H x W x 1, H x W x 3 or H x W x 4, a PIL image or an nbtrack.Image"
)
_KEY = re.compile(r"[a-zA-Z0-9_\-./ ]+")


class Image:
    """An image to be logged, also in a cell of a table.

    Parameters
    ----------
    image
        numpy array, nested list of pixels, PIL image, or the path of an image file.

    Examples
    --------
    >>> Image([[0, 128], [255, 64]]).size
    (2, 2)
    """

    def __init__(self, image: Any) -> None:
        if isinstance(image, str | os.PathLike):
            self.image = _opened(image)
        elif isinstance(image, list):
            import numpy as np

            self.image = to_pil(np.array(image))
        else:
            self.image = to_pil(image)
        self.size: tuple[int, int] = self.image.size

    def to_pil(self) -> Any:
        """Return the PIL image."""
        return self.image

    def to_array(self) -> Any:
        """Return the pixels as a numpy array."""
        import numpy as np

        return np.array(self.image)

    def to_list(self) -> list[Any]:
        """Return the pixels, row by row, as one list."""
        rows = self.to_array()
        flat = rows.reshape(-1, *rows.shape[2:]).tolist()
        return [tuple(pixel) if isinstance(pixel, list) else pixel for pixel in flat]

    def save(self, path: str) -> None:
        """Save the image to a file."""
        self.image.save(path)

    def resize(self, size: tuple[int, int]) -> Image:
        """Return a resized copy."""
        return Image(self.image.resize(size))


def to_pil(image: Any) -> Any:
    """Return an image as a PIL image.

    Parameters
    ----------
    image
        numpy array or torch tensor of H x W, H x W x 1, H x W x 3 (RGB) or H x W x 4 (RGBA):
        bool, integers from 0 to 255, or floats from 0 to 1 (other floats are scaled, with a
        warning); a PIL image; or an object with ``to_pil()``.

    Raises
    ------
    InvalidParameterError
        It is nothing of these.
    MissingPackageError
        Pillow is not installed.
    """
    if callable(convert := getattr(image, "to_pil", None)):
        image = convert()
    library = library_of(image, {"numpy", "torch", "PIL"})
    if library == "PIL":
        return image
    if library == "torch" and hasattr(image, "detach"):
        tensor = image.detach().cpu()
        # numpy has no bfloat16; for pixels, 32 bits are enough of any kind of float.
        return _from_array((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    if library == "numpy" and hasattr(image, "ndim"):
        return _from_array(image)
    raise InvalidParameterError(
        f"A {type(image).__name__} is no image that can be logged: {_ACCEPTED}.",
        hint="Make nested lists an array first: np.array(rows).",
    )


def encode_image(image: Any, suffix: str = ".png") -> bytes:
    """Return an image as the content of a file.

    Parameters
    ----------
    image
        What `to_pil` takes.
    suffix
        Extension that says the format: ``.png``, ``.jpg``, ``.webp`` ...; a path has one too.

    Raises
    ------
    InvalidParameterError
        The image cannot be used, or not written in this format.
    MissingPackageError
        Pillow is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> encode_image(np.zeros((2, 2)))[1:4]
    b'PNG'
    """
    pillow = _pillow()
    known = pillow.registered_extensions()
    ending = extension(f"image{suffix}") if suffix.startswith(".") else extension(suffix)
    if known.get(ending) not in pillow.SAVE:
        writable = sorted(name for name, kind in known.items() if kind in pillow.SAVE)
        raise InvalidParameterError(
            f"Pillow cannot write an image as {suffix!r}; use one of {', '.join(writable)}.",
            hint="Use .png if in doubt.",
        )
    picture, file = to_pil(image), io.BytesIO()
    try:
        picture.save(file, format=known[ending])
    except (OSError, ValueError, KeyError) as error:  # JPEG has no alpha, for one
        raise InvalidParameterError(
            f"An image of mode {picture.mode} and size {picture.size} cannot be written as "
            f"{ending!r}: {error}.",
            hint="Use .png, or convert it first: image.convert('RGB').",
        ) from error
    return file.getvalue()


def encode_preview(image: Any) -> bytes:
    """Return an image scaled to 256 pixels at its longer side, as WebP.

    Examples
    --------
    >>> import numpy as np
    >>> encode_preview(np.zeros((8, 4), "uint8"))[8:12]
    b'WEBP'
    """
    picture = to_pil(image)
    width, height = picture.size
    scale = PREVIEW_SIZE / max(width, height, 1)
    # At least one pixel: a line of text may be much longer than it is high.
    size = (max(int(width * scale), 1), max(int(height * scale), 1))
    return encode_image(picture.resize(size), ".webp")


def stepped_names(key: str, step: int, timestamp: int, unique: str) -> tuple[str, str]:
    """Return the paths of an image of a series and of its preview.

    Parameters
    ----------
    key
        Name of the series: letters, digits, ``_``, ``-``, ``.``, blanks and ``/``.
    step
        Position in the series.
    timestamp
        Milliseconds since 1970.
    unique
        What tells it from images of the same key, step and time: a UUID.

    Raises
    ------
    InvalidParameterError
        The key has other characters, or step or timestamp is no whole number.

    Examples
    --------
    >>> stepped_names("val/dogs", 3, 1700000000000, "6f7c")[1]
    'images/val~dogs+step+3+timestamp+1700000000000+6f7c+compressed.webp'
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidParameterError(
            f"{key!r} is no key for an image; use letters (a-z, A-Z), digits, _ - . / and blanks.",
            hint="The key names a series of images, such as key='val/dogs'.",
        )
    for name, value in (("step", step), ("timestamp", timestamp)):
        if not isinstance(value, int):
            raise InvalidParameterError(
                f"{value!r} is no {name} for an image; use a whole number.",
                hint="A step counts 0, 1, 2 ...; a timestamp is milliseconds since 1970.",
            )
    name = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{timestamp}+{unique}"
    return f"{name}.png", f"{name}+compressed.webp"


def encode_stepped(image: Any, key: str, step: int, timestamp: int) -> dict[str, bytes]:
    """Return the two files of an image of a series, by path: the image and its preview.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(path[-4:] for path in encode_stepped(np.zeros((2, 2)), "dogs", 0, 1))
    ['.png', 'webp']
    """
    full, preview = stepped_names(key, step, timestamp, str(uuid.uuid4()))
    picture = to_pil(image)
    return {full: encode_image(picture), preview: encode_preview(picture)}


def _opened(path: str | os.PathLike[str]) -> Any:
    try:
        with _pillow().open(path) as file:
            return file.copy()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is no image file {os.fspath(path)!r}.",
            hint="A path counts from the working directory.",
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidParameterError(
            f"{os.fspath(path)!r} cannot be read as an image: {error}.",
            hint="Log a file of another kind by log_artifact.",
        ) from error


def _pillow() -> Any:
    return need("PIL.Image", "pillow", "Logging an image")


def _from_array(array: Any) -> Any:
    if array.dtype.kind not in "biuf":
        raise InvalidParameterError(
            f"An array of {array.dtype} is no image; use bool, integers from 0 to 255 or floats "
            "from 0 to 1.",
            hint="Convert it first: array.astype('float32').",
        )
    match array.shape:
        case (height, width) | (height, width, 1 | 3 | 4) if height and width:
            return _pillow().fromarray(_pixels(array if array.shape[2:] != (1,) else array[..., 0]))
        case (1 | 3 | 4, _, _):
            hint = "Put the channels last: np.moveaxis(array, 0, -1)."
        case _:
            hint = "Log the images of a batch one by one, with a step each."
    raise InvalidParameterError(
        f"An array of shape {array.shape} is no image: {_ACCEPTED}.", hint=hint
    )


def _pixels(array: Any) -> Any:
    """Return an array as bytes. Floats beyond 0 to 1 are scaled to that range, as by MLflow."""
    import numpy as np

    if array.dtype.kind in "iu":
        if array.min() < 0 or array.max() > _WHITE:
            raise InvalidParameterError(
                f"Pixels from {array.min()} to {array.max()} are out of range; whole numbers go "
                "from 0 to 255.",
                hint="Scale them to floats from 0 to 1 first.",
            )
        return array.astype(np.uint8)
    if array.dtype.kind == "f":
        array = _finite(array)
        low, high = array.min(), array.max()
        if low < 0 or high > 1:
            warnings.warn(
                f"Pixels from {low} to {high} are out of range; floats go from 0 to 1. They are "
                "scaled to that range.",
                stacklevel=4,
            )
            array = (array - low) / (high - low) if high > low else np.zeros_like(array)
    return (array * _WHITE).astype(np.uint8)


def _finite(array: Any) -> Any:
    """Return floats with NaN as black, infinities as the ends of what else there is."""
    import numpy as np

    finite = np.isfinite(array)
    if finite.all():
        return array
    warnings.warn("NaN and infinite pixels are drawn as black and white.", stacklevel=5)
    rest = array[finite]
    low, high = (rest.min(), rest.max()) if rest.size else (0.0, 1.0)
    return np.nan_to_num(array, nan=low, neginf=low, posinf=high)
