"""What a model takes and gives: columns or tensors, and params. MLflow's words and JSON."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nbtrack.errors import InvalidParameterError


class DataType(enum.Enum):
    """Types of single values.

    Examples
    --------
    >>> DataType["long"], DataType.long.to_numpy()
    (long, dtype('int64'))
    """

    boolean = "bool"
    integer = "int32"
    long = "int64"
    float = "float32"
    double = "float64"
    string = "str"
    binary = "bytes"
    datetime = "datetime64[ns]"

    def __repr__(self) -> str:
        return self.name

    def to_numpy(self) -> Any:
        """Return numpy's type."""
        import numpy as np

        return np.dtype(self.value)

    def to_pandas(self) -> Any:
        """Return the type of a pandas column: texts and bytes are objects."""
        import numpy as np

        return np.dtype("O" if self in {DataType.string, DataType.binary} else self.value)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"type": self.name}


@dataclass(frozen=True)
class AnyType:
    """Anything that JSON can hold; nothing of it is checked."""

    def __repr__(self) -> str:
        return "Any"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"type": "any"}


@dataclass(frozen=True)
class Array:
    """A list of values of one type."""

    dtype: Type | str

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", _type(self.dtype))

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"type": "array", "items": _type(self.dtype).to_dict()}


@dataclass(frozen=True)
class Map:
    """A dict of texts to values of one type."""

    value_type: Type | str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_type", _type(self.value_type))

    def __repr__(self) -> str:
        return f"Map(str -> {self.value_type!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"type": "map", "values": _type(self.value_type).to_dict()}


@dataclass(frozen=True)
class Property:
    """A value of a dict."""

    name: str
    dtype: Type | str
    required: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", _type(self.dtype))

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {self.name: {**_type(self.dtype).to_dict(), "required": self.required}}


@dataclass(frozen=True)
class Object:
    """A dict with known names."""

    properties: Sequence[Property]

    def __post_init__(self) -> None:
        """Sort the properties.

        Raises
        ------
        InvalidParameterError
            There are none, or two of one name.
        """
        found = tuple(sorted(self.properties, key=lambda p: p.name))
        if not found or len({p.name for p in found}) < len(found):
            raise InvalidParameterError(
                f"An object cannot have the properties {[p.name for p in found]}.",
                hint="It needs one or more, each of a name of its own.",
            )
        object.__setattr__(self, "properties", found)

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self.properties)) + "}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        found = {k: v for p in self.properties for k, v in p.to_dict().items()}
        return {"type": "object", "properties": found}


Type = DataType | Array | Object | Map | AnyType


@dataclass(frozen=True)
class ColSpec:
    """A column.

    Examples
    --------
    >>> ColSpec("double", "x")
    'x': double (required)
    """

    type: Type | str
    name: Any = None
    required: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", _type(self.type))

    def __repr__(self) -> str:
        named = "" if self.name is None else f"{self.name!r}: "
        return f"{named}{self.type!r} ({'required' if self.required else 'optional'})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        named = {} if self.name is None else {"name": self.name}
        return {**_type(self.type).to_dict(), **named, "required": self.required}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor; -1 stands for any length.

    Examples
    --------
    >>> import numpy as np
    >>> TensorSpec(np.dtype("float32"), (-1, 3))
    Tensor('float32', (-1, 3))
    """

    type: Any
    shape: Sequence[int]
    name: str | None = None
    required = True

    def __post_init__(self) -> None:
        """Bring type and shape to one form.

        Raises
        ------
        InvalidParameterError
            The type is none of numpy's.
        """
        import numpy as np

        try:
            object.__setattr__(self, "type", np.dtype(self.type))
            object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        except (TypeError, ValueError) as error:
            raise InvalidParameterError(
                f"{self.type!r} with the shape {self.shape!r} is no tensor: {error}."
            ) from error

    def __repr__(self) -> str:
        named = "" if self.name is None else f"{self.name!r}: "
        return f"{named}Tensor({self.type.name!r}, {self.shape!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        named = {} if self.name is None else {"name": self.name}
        spec = {"dtype": self.type.name, "shape": list(self.shape)}
        return {**named, "type": "tensor", "tensor-spec": spec}


@dataclass(frozen=True)
class Schema:
    """Columns, or tensors: all with a name, or none.

    Examples
    --------
    >>> Schema([ColSpec("long", "x"), ColSpec("string", "y", required=False)])
    ['x': long (required), 'y': string (optional)]
    """

    inputs: Sequence[ColSpec | TensorSpec]

    def __post_init__(self) -> None:
        """Check that the parts go together.

        Raises
        ------
        InvalidParameterError
            They do not.
        """
        found = list(self.inputs)
        object.__setattr__(self, "inputs", found)
        named = [spec.name is not None for spec in found]
        tensors = [isinstance(spec, TensorSpec) for spec in found]
        problem = ""
        if not found:
            problem = "it has no inputs"
        elif any(named) and not all(named):
            problem = "some inputs have a name and some have none"
        elif any(tensors) and not all(tensors):
            problem = "columns and tensors are mixed"
        elif all(tensors) and len(found) > 1 and not any(named):
            problem = "it has several tensors without names"
        elif not any(named) and not all(spec.required for spec in found):
            problem = "an input without a name has to be required"
        if problem:
            raise InvalidParameterError(f"This is no schema: {problem}.")

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[ColSpec | TensorSpec]:
        return iter(self.inputs)

    def __repr__(self) -> str:
        return repr(self.inputs)

    def is_tensor_spec(self) -> bool:
        """Whether it is one of tensors."""
        return isinstance(self.inputs[0], TensorSpec)

    def has_input_names(self) -> bool:
        """Whether the inputs have names."""
        return self.inputs[0].name is not None

    def input_names(self) -> list[Any]:
        """Return the names, or numbers from 0."""
        return [spec.name or i for i, spec in enumerate(self.inputs)]

    def required_input_names(self) -> list[Any]:
        """Return the names of what has to be there."""
        return [spec.name or i for i, spec in enumerate(self.inputs) if spec.required]

    def input_types(self) -> list[Any]:
        """Return the types."""
        return [spec.type for spec in self.inputs]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the inputs as JSON has them."""
        return [spec.to_dict() for spec in self.inputs]

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, inputs: Sequence[Mapping[str, Any]]) -> Self:
        """Return what was `to_dict`.

        Raises
        ------
        InvalidParameterError
            It is none.
        """
        try:
            return cls([_spec(spec) for spec in inputs])
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            if isinstance(error, InvalidParameterError):
                raise
            raise InvalidParameterError(f"{inputs!r} is no schema: {error!r}.") from error

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what was `to_json`.

        Raises
        ------
        InvalidParameterError
            It is none.
        """
        return cls.from_dict(_parsed(text))


@dataclass(frozen=True)
class ParamSpec:
    """A param that `predict` takes.

    Examples
    --------
    >>> ParamSpec("temperature", "double", 0.5)
    'temperature': double (default: 0.5)
    """

    name: str
    dtype: DataType | Object | str
    default: Any
    shape: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Check the default against the type.

        Raises
        ------
        InvalidParameterError
            It is of another.
        """
        from nbtrack.models.enforce import enforce_param

        object.__setattr__(self, "name", str(self.name))
        object.__setattr__(self, "dtype", _type(self.dtype))
        object.__setattr__(self, "shape", None if self.shape is None else tuple(self.shape))
        if not isinstance(self.dtype, DataType | Object) or self.dtype is DataType.binary:
            raise InvalidParameterError(
                f"The param {self.name!r} cannot have the type {self.dtype!r}.",
                hint="Use a type of single values other than binary, or an object.",
            )
        object.__setattr__(self, "default", enforce_param(self.default, self))

    def __repr__(self) -> str:
        shape = "" if self.shape is None else f" (shape: {self.shape})"
        return f"{self.name!r}: {self.dtype!r} (default: {self.default}){shape}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        default = self.default
        if self.dtype is DataType.datetime and default is not None:
            default = (
                default.isoformat() if self.shape is None else [v.isoformat() for v in default]
            )
        shape = None if self.shape is None else list(self.shape)
        told = {"name": self.name, "default": default, "shape": shape}
        return {**told, **_type(self.dtype).to_dict()}


@dataclass(frozen=True)
class ParamSchema:
    """The params that `predict` takes."""

    params: Sequence[ParamSpec]

    def __post_init__(self) -> None:
        """Refuse two of one name.

        Raises
        ------
        InvalidParameterError
            There are.
        """
        object.__setattr__(self, "params", list(self.params))
        names = [spec.name for spec in self.params]
        if len(set(names)) < len(names):
            raise InvalidParameterError(f"Two params have one name: {sorted(names)}.")

    def __len__(self) -> int:
        return len(self.params)

    def __iter__(self) -> Iterator[ParamSpec]:
        return iter(self.params)

    def __repr__(self) -> str:
        return repr(self.params)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the params as JSON has them."""
        return [spec.to_dict() for spec in self.params]

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what was `to_json`.

        Raises
        ------
        InvalidParameterError
            It is none.
        """
        try:
            return cls([_param(spec) for spec in _parsed(text)])
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidParameterError(f"{text!r} is no schema of params: {error!r}.") from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidParameterError(f"{text!r} is no JSON of a schema.") from error


def _type(given: Any) -> Type:
    if isinstance(given, Type):
        return given
    if isinstance(given, str) and given in DataType.__members__:
        return DataType[given]
    raise InvalidParameterError(
        f"There is no type {given!r}.",
        hint=f"Use one of {', '.join(DataType.__members__)}, or Array, Object, Map, AnyType.",
    )


def type_from_dict(told: Mapping[str, Any]) -> Type:
    """Return the type that JSON has.

    Raises
    ------
    InvalidParameterError, KeyError, TypeError, AttributeError
        There is none.
    """
    word = told["type"]
    if word == "any":
        return AnyType()
    if word == "array":
        return Array(type_from_dict(told["items"]))
    if word == "map":
        return Map(type_from_dict(told["values"]))
    if word == "sparkml_vector":
        return Array(DataType.double)
    if word == "object":
        properties = told["properties"].items()
        return Object(
            [Property(n, type_from_dict(p), bool(p.get("required", True))) for n, p in properties]
        )
    return _type(word)


def _spec(told: Mapping[str, Any]) -> ColSpec | TensorSpec:
    name = told.get("name")
    if told["type"] == "tensor":
        spec = told["tensor-spec"]
        return TensorSpec(spec["dtype"], spec["shape"], name)
    # MLflow takes an array without `required` for optional, and a plain column for required.
    required = told.get("required", told["type"] in DataType.__members__)
    return ColSpec(type_from_dict(told), name, bool(required))


def _param(told: Mapping[str, Any]) -> ParamSpec:
    found = type_from_dict({**told, "type": told.get("type") or told.get("dtype")})
    if not isinstance(found, DataType | Object):
        raise InvalidParameterError(f"A param cannot have the type {found!r}.")
    return ParamSpec(told["name"], found, told["default"], told.get("shape"))
