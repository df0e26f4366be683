"""Words of a filter, and the error that points at one. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto

from nbtrack.errors import InvalidParameterError

MAX_LENGTH = 500_000  # characters of a filter: some ten thousand run ids

_WIDTH = 72  # of the excerpt in an error
_MARGIN = 30  # what is shown of a long filter before the place


class Kind(Enum):
    """Kinds of tokens."""

    PATH = auto()  # a word, a quoted text, or several with dots between
    NUMBER = auto()
    OPERATOR = auto()
    MARK = auto()  # ( ) ,
    END = auto()


@dataclass(frozen=True, slots=True)
class Part:
    """A word or a quoted text within a path; ``quote`` is empty for a word."""

    text: str
    quote: str
    position: int


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a filter and where it begins."""

    kind: Kind
    text: str
    position: int
    parts: tuple[Part, ...] = ()

    @property
    def word(self) -> str:
        """The token in capitals if it is one bare word, else empty."""
        return self.text.upper() if len(self.parts) == 1 and not self.parts[0].quote else ""

    @property
    def shown(self) -> str:
        """The token as an error names it."""
        if self.kind is Kind.END:
            return "the end"
        return shortened(self.text)


_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`"""
_PART = re.compile(rf"(?:(?P<word>\w+)|(?P<quoted>{_QUOTED}))")
_TOKEN = re.compile(
    rf"""
      (?P<NUMBER>   -?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<PATH>     (?:\w+|{_QUOTED})(?:\.(?:\w+|{_QUOTED}))*)
    | (?P<OPERATOR> [<>=!]+)
    | (?P<MARK>     [(),])
    """,
    re.VERBOSE,
)
_BLANK = re.compile(r"\s*")
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
_KEY_HINT = 'Put a key with such characters in double quotes: metrics."val acc".'


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is parsed, and what it is called in errors: ``filter`` or ``order``."""

    text: str
    name: str

    def problem(self, position: int, what: str, hint: str) -> InvalidParameterError:
        """Return the error that says what is wrong, and points at the place."""
        line, caret = _excerpt(self.text, position)
        return InvalidParameterError(
            f"The {self.name} cannot be read: {what}.\n    {line}\n    {caret}", hint=hint
        )

    def tokens(self) -> list[Token]:
        """Return the tokens, the end being one.

        Raises
        ------
        InvalidParameterError
            It is too long, or something in it is no token.
        """
        text = self.text
        if len(text) > MAX_LENGTH:
            raise self.problem(
                MAX_LENGTH,
                f"it has {len(text):,} characters, and {MAX_LENGTH:,} is the most",
                "Search in several steps, or filter the table that a search returns.",
            )
        if unusable := _UNUSABLE.search(text):
            raise self.problem(
                unusable.start(),
                f"U+{ord(unusable[0]):04X} is no character that is ever stored",
                "Leave it out; LIKE '%...%' finds what stands around it.",
            )
        tokens: list[Token] = []
        position = 0
        while True:
            position = _end(_BLANK.match(text, position), position)
            if position == len(text):
                return [*tokens, Token(Kind.END, "", position)]
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._no_token(position)
            token = Token(Kind[match.lastgroup or ""], match[0], position, self._parts(match))
            position = match.end()
            if token.kind in (Kind.NUMBER, Kind.PATH):
                self._check_end(token, position)
            tokens.append(token)

    def _parts(self, match: re.Match[str]) -> tuple[Part, ...]:
        if match.lastgroup != "PATH":
            return ()
        parts = []
        for part in _PART.finditer(match[0]):
            if part["quoted"]:
                quote = part[0][0]
                content = part[0][1:-1].replace(quote * 2, quote)
            else:
                quote, content = "", part[0]
            parts.append(Part(content, quote, match.start() + part.start()))
        return tuple(parts)

    def _check_end(self, token: Token, end: int) -> None:
        """Refuse what goes on after a token without being part of it."""
        following = self.text[end : end + 1]
        if token.kind is Kind.NUMBER and (following == "." or following.isalnum()):
            raise self.problem(
                token.position,
                f"{shortened(self.text[token.position : end + 1])} is no number",
                "Numbers are written 3, 0.5, .5, -2 or 1e-3; texts in quotes: '3 layers'.",
            )
        if following and following in "'\"`":
            raise self.problem(
                end,
                f"the quote {following} stands within a word, or is not closed",
                "Write a quote within quotes twice: 'it''s'; leave a blank between words.",
            )
        if following and following in ".-/:@":
            raise self.problem(end, f"{following!r} does not belong to a key", _KEY_HINT)

    def _no_token(self, position: int) -> InvalidParameterError:
        character = self.text[position]
        if character in "'\"`":
            return self.problem(
                position,
                f"the quote {character} is not closed",
                f"Close it with {character}; a quote within quotes is written twice.",
            )
        if character == "+":
            return self.problem(position, "a number has no plus sign", "Leave the + out.")
        if character == ";":
            return self.problem(position, "it is one expression, without ;", "Leave the ; out.")
        return self.problem(position, f"{character!r} has no meaning here", _KEY_HINT)


def shortened(text: str) -> str:
    """Return a text, or its beginning, as an error names it."""
    return text if len(text) <= _MARGIN else text[:_MARGIN] + "…"


def _end(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


def _excerpt(text: str, position: int) -> tuple[str, str]:
    """Return the surroundings of a place in one line, and a line with a caret under it."""
    start = max(0, position - _MARGIN) if len(text) > _WIDTH else 0
    shown = text[start : start + _WIDTH]
    before = "…" if start else ""
    after = "…" if start + len(shown) < len(text) else ""
    columns = len(before) + sum(map(_columns, text[start:position]))
    return before + "".join(map(_printable, shown)) + after, " " * columns + "^"


def _printable(character: str) -> str:
    if character.isspace():
        return " "
    return character if character.isprintable() or _columns(character) == 0 else "\ufffd"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
