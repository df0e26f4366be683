"""Results of a search, page by page, as MLflow's clients hand them out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from nbtrack.errors import InvalidParameterError
from nbtrack.types import ViewType

T = TypeVar("T")
_VIEWS = {1: ViewType.ACTIVE_ONLY, 2: ViewType.DELETED_ONLY, 3: ViewType.ALL}


class PagedList(list[T]):
    """A list, and the token that the next page is asked for with.

    Attributes
    ----------
    token
        None if there is no more.

    Examples
    --------
    >>> PagedList([1, 2], token=None).token is None
    True
    """

    def __init__(self, items: Iterable[T] = (), token: str | None = None) -> None:
        super().__init__(items)
        self.token = token


def page(
    search: Callable[[int, int], Sequence[T]], max_results: int, page_token: str | None
) -> PagedList[T]:
    """Return a page of what a search finds.

    Parameters
    ----------
    search
        Takes how many results are wanted, and how many to leave out before them.
    max_results
        Length of a page.
    page_token
        ``token`` of the page before; None: the first one.

    Raises
    ------
    InvalidParameterError
        `max_results` is below 1; the token is none.

    Examples
    --------
    >>> numbers = lambda count, offset: list(range(10))[offset : offset + count]
    >>> first = page(numbers, 6, None)
    >>> first, page(numbers, 6, first.token)
    ([0, 1, 2, 3, 4, 5], [6, 7, 8, 9])
    """
    offset = _offset(page_token)
    found = search(check_count(max_results) + 1, offset)
    more = len(found) > max_results
    return PagedList(found[:max_results], _token(offset + max_results) if more else None)


def check_count(max_results: object) -> int:
    """Return how many results are wanted.

    Raises
    ------
    InvalidParameterError
        It is no whole number from 1.
    """
    if not isinstance(max_results, int) or max_results < 1:
        raise InvalidParameterError(
            f"max_results is {max_results!r}; it must be 1 or more.",
            hint="Leave it out if in doubt.",
        )
    return min(max_results, 2**62)


def view_type(value: object) -> ViewType:
    """Return which view is meant: a `ViewType`, or MLflow's number of it.

    Raises
    ------
    InvalidParameterError
        It is none.

    Examples
    --------
    >>> view_type(3)
    <ViewType.ALL: 'ALL'>
    """
    if isinstance(value, int) and value in _VIEWS:
        return _VIEWS[value]
    if isinstance(value, str) and value in set(ViewType):
        return ViewType(value)
    raise InvalidParameterError(
        f"{value!r} is no view of runs or experiments.",
        hint="Use ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY or ViewType.ALL.",
    )


def _token(offset: int) -> str:
    return base64.b64encode(f"from {offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.b64decode(token.encode(), validate=True).decode().partition(" ")
        if word != "from" or not 0 <= int(number) < 2**62:
            raise ValueError(number)
    except (AttributeError, ValueError, binascii.Error):
        raise InvalidParameterError(
            f"{token!r} is no page token.", hint="Give the token of the page before."
        ) from None
    return int(number)
