"""Type hints of a custom model's input: the schema that they say, and data checked against them.

A hint is ``list[...]`` of a plain type, of lists and dicts, or of a pydantic model.
"""

from __future__ import annotations

import contextlib
import datetime
import types
import typing
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from nbtrack.errors import InvalidParameterError
from nbtrack.models.schema import AnyType, Array, ColSpec, DataType, Map, Object, Property, Schema

_TYPES = {
    int: DataType.long,
    str: DataType.string,
    bool: DataType.boolean,
    float: DataType.double,
    bytes: DataType.binary,
    datetime.datetime: DataType.datetime,
}
_UNIONS = (Union, types.UnionType)
_DICT_ARGS = 2


@dataclass(frozen=True)
class TypeHints:
    """Hints of what `predict` takes and gives."""

    input: Any = None
    output: Any = None


def hints_of(function: Any) -> TypeHints:
    """Return the hints of the input and the output of a function that predicts.

    Names that cannot be resolved any more are no hints.
    """
    import inspect

    names = [n for n in inspect.signature(function).parameters if n not in {"self", "params"}]
    try:
        found = typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return TypeHints()
    return TypeHints(found.get(names[-1]) if names else None, found.get("return"))


def schema_of_hint(hint: Any) -> Schema | None:
    """Return the schema that a hint says; None: it is none of these hints.

    Examples
    --------
    >>> schema_of_hint(list[str])
    [string (required)]
    """
    if get_origin(hint) is not list or not get_args(hint):
        return None
    element = get_args(hint)[0]
    try:
        found, required = _type(element)
    except InvalidParameterError:
        return None
    if not required:
        return None
    return Schema([ColSpec(found)])


def checked(data: Any, hint: Any) -> Any:
    """Return data as a hint says; a frame becomes a list of its only column, or of its rows.

    Raises
    ------
    InvalidParameterError
        It is something else.

    Examples
    --------
    >>> checked(["a"], list[str])
    ['a']
    """
    if schema_of_hint(hint) is None:
        return data
    element = get_args(hint)[0]
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        is_dict = get_origin(element) is dict or element is dict or _is_pydantic(element)
        if is_dict and list(data.columns) != [0]:
            data = data.to_dict(orient="records")
        else:
            data = data.iloc[:, 0].tolist()
    return _checked(data, hint, "data")


def _checked(data: Any, hint: Any, what: str) -> Any:
    if hint is Any:
        return data
    if _is_pydantic(hint):
        return _validated(data, hint, what)
    origin, args = get_origin(hint), get_args(hint)
    if origin in _UNIONS:
        return _one_of(data, hint, what)
    if origin is list and isinstance(data, list):
        return [_checked(item, args[0], f"{what}[{i}]") for i, item in enumerate(data)]
    is_dict = isinstance(data, dict) and all(isinstance(name, str) for name in data)
    if origin is dict and is_dict:
        return {name: _checked(item, args[1], f"{what}[{name!r}]") for name, item in data.items()}
    # A bool is an int to Python, and not to a schema.
    if type(data) is hint or (hint is datetime.datetime and isinstance(data, hint)):
        return data
    raise _no(data, hint, what)


def _validated(data: Any, hint: Any, what: str) -> Any:
    if isinstance(data, hint):
        return data
    try:
        return hint.model_validate(data)
    except ValueError as error:
        raise InvalidParameterError(f"The {what} is no {hint.__name__}: {error}.") from error


def _one_of(data: Any, hint: Any, what: str) -> Any:
    for option in get_args(hint):
        if option is type(None) and data is None:
            return None
        with contextlib.suppress(InvalidParameterError):
            return _checked(data, option, what)
    raise _no(data, hint, what)


def _no(data: Any, hint: Any, what: str) -> InvalidParameterError:
    wanted = hint.__name__ if isinstance(hint, type) and not get_args(hint) else hint
    return InvalidParameterError(
        f"The {what} is a {type(data).__name__}, and the model takes {wanted}."
    )


def _type(hint: Any) -> tuple[Any, bool]:
    if hint is Any:
        return AnyType(), True
    if hint in _TYPES:
        return _TYPES[hint], True
    if _is_pydantic(hint):
        fields = hint.model_fields.items()
        found = [(name, _type(field.annotation)) for name, field in fields]
        return Object([Property(name, kind, required) for name, (kind, required) in found]), True
    origin, args = get_origin(hint), get_args(hint)
    if origin is list and args:
        return Array(_type(args[0])[0]), True
    if origin is dict and len(args) == _DICT_ARGS and args[0] is str:
        return Map(_type(args[1])[0]), True
    if origin in _UNIONS:
        rest = [arg for arg in args if arg is not type(None)]
        is_required = len(rest) == len(args)
        return (_type(rest[0])[0] if len(rest) == 1 else AnyType()), is_required
    raise InvalidParameterError(f"There is no schema for the hint {hint!r}.")


def _is_pydantic(hint: Any) -> bool:
    return isinstance(hint, type) and any(
        base.__module__ == "pydantic.main" and base.__name__ == "BaseModel" for base in hint.__mro__
    )
