"""Secrets are taken out of params, tags and cell sources before anything is stored. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

MASK = "«redacted»"

# The name of something secret (a variable, a keyword, a key in quotes and brackets; perhaps with
# its type), then = or :, then the value: quoted, or up to a blank. What is computed (by a call,
# a subscript: it has a bracket) is no literal and stays. No pattern may begin with a repeated
# class: on a long word without blanks (bytes as hex digits) that takes the square of its length.
_ASSIGNED = re.compile(
    r"""(?ix)
    (?P<name>(?:password|passwd|secret|api[_-]?key|access[_-]?key|private[_-]?key
        |auth[_-]?token|access[_-]?token|api[_-]?token|bearer[_-]?token|credential)s?
        [\w-]{0,40} ["']? \]? (?:\s{0,8}:\s{0,8}(?:str|bytes|SecretStr))? \s{0,40}[=:]\s{0,40})
    (?:(?P<open>[rbfu]{0,2}(?P<quote>\"""|'''|["']))
        (?P<value>(?:\\.|(?!(?P=quote))[^\n\\])+)(?P=quote)
      |(?P<bare>[^\s"'()\[\],;]{6,})(?![\w(\[.]))
    """
)
# Up to the last @ before the path: a password may have one of its own.
_URL = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{0,20}://)(?P<user>[^\s:/@'\"]{0,200}):"
    r"(?P<word>[^\s/?#'\"]{1,500})@"
)
# Tokens that tell by their shape what they are.
_SHAPED = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|hf_[A-Za-z0-9]{30,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
)
_SHORTEST_TOKEN = 15  # characters, of those above
_SECRET_KEY = re.compile(
    r"(?i)(password|passwd|secret|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|(auth|access|api|bearer)[_-]?token|credential)"
)


def redact(text: str) -> str:
    """Return the text with tokens, keys and passwords masked.

    Examples
    --------
    >>> redact("connect('postgres://me:hunter2@db/x', api_key='abc123')")
    "connect('postgres://me:«redacted»@db/x', api_key='«redacted»')"
    """
    if len(text) < _SHORTEST_TOKEN and "=" not in text and ":" not in text:
        return text  # most params: nothing that is looked for below is in there
    text = _URL.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    text = _ASSIGNED.sub(_mask_value, text)
    return _SHAPED.sub(MASK, text)


def redact_value(key: str, value: str) -> str:
    """Return the value of a param or tag, masked if its key or its shape says it is secret.

    Examples
    --------
    >>> redact_value("api_key", "abc"), redact_value("C", "1.0")
    ('«redacted»', '1.0')
    """
    return MASK if _is_secret(key) and value not in {"", "None"} else redact(value)


@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _mask_value(match: re.Match[str]) -> str:
    if match["bare"] in {"None", "True", "False"}:
        return match[0]
    return f"{match['name']}{match['open'] or ''}{MASK}{match['quote'] or ''}"
