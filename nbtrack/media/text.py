"""Texts and dicts as files."""

from __future__ import annotations

import json
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.media.optional import extension
from nbtrack.media.plain import plain

_YAML = {".yml", ".yaml"}


def encode_text(text: str, path: str) -> bytes:
    r"""Return the content of a text file, in UTF-8.

    Raises
    ------
    InvalidParameterError
        It is no text, or text that no file can hold (half of a surrogate pair).

    Examples
    --------
    >>> encode_text("Grüße\n", "notes.txt")
    b'Gr\xc3\xbc\xc3\x9fe\n'
    """
    if not isinstance(text, str):
        raise InvalidParameterError(
            f"A {type(text).__name__} was given as the text of {path!r}; use a str.",
            hint="Log a dict by log_dict, and other objects by their str().",
        )
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameterError(
            f"The text of {path!r} has half of a surrogate pair at character {error.start}, "
            "which UTF-8 cannot hold.",
            hint="Make it a whole text: text.encode(errors='replace').decode().",
        ) from None


def encode_dict(obj: Any, path: str) -> bytes:
    r"""Return a dict as YAML if the path ends in .yml or .yaml, as JSON if not.

    Arrays, frames, dates, sets and paths inside are written as lists, dicts and text; what has no
    such form as its ``str()``. JSON has NaN and infinities in Python's notation, as MLflow's.

    Parameters
    ----------
    obj
        A dict, or anything else that JSON can hold.
    path
        Where it goes among the artifacts; only its extension counts.

    Raises
    ------
    InvalidParameterError
        The object contains itself, or is nested too deeply.

    Examples
    --------
    >>> print(encode_dict({"lr": 0.1, "layers": [64, 32]}, "params.yaml").decode(), end="")
    layers:
    - 64
    - 32
    lr: 0.1
    >>> encode_dict({"k": "v"}, "params").decode()
    '{\n  "k": "v"\n}'
    """
    try:
        if extension(path) in _YAML:
            import yaml

            dated = plain(obj, keep_dates=True)
            return yaml.dump(dated, Dumper=_dumper(), indent=2, default_flow_style=False).encode()
        return json.dumps(plain(obj), indent=2).encode()
    except RecursionError:
        raise InvalidParameterError(
            f"The object for {path!r} contains itself, or is nested too deeply to be written.",
            hint="Leave out the part that refers back.",
        ) from None


def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True  # a list that is used twice is written twice, so that people can read it

    return Dumper
