"""LightGBM: a Booster is its text; an estimator is skops with types that are known to be safe.

In a skops file, too, the trees are the Booster's text, and around it are only values. What needs
other types than these, as an objective of the user's own, is a pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError, MissingPackageError
from nbtrack.models.flavors.base import Predictor, Snapshot, class_name, pickled, unpickled
from nbtrack.models.flavors.libraries import (
    check_size,
    data_of,
    descends,
    library,
    read,
    requirements,
    skops_types,
    used,
)

NAMES = ("lightgbm",)
LOADERS = ("mlflow.lightgbm",)
FORMATS = ("skops", "cloudpickle", "pickle")
# They take values, and run none: looked through in LightGBM 4.7, where a Booster's state is a text.
SAFE_TYPES = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMModel",
        "lightgbm.sklearn.LGBMRanker",
        "lightgbm.sklearn.LGBMRegressor",
    }
)
_BOOSTER = "lightgbm.basic.Booster"
_IN_USE = ("lightgbm", "numpy", "scipy", "pandas")


def is_model(model: object) -> bool:
    """Whether it is a Booster, or an estimator with one."""
    return descends(model, "lightgbm", "Booster", "LGBMModel")


def snapshot(
    model: Any,
    *,
    max_bytes: int,
    serialization_format: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
) -> Snapshot:
    """Return a Booster as text, an estimator as skops or a pickle.

    Parameters
    ----------
    serialization_format
        Of an estimator: ``skops``, ``cloudpickle`` or ``pickle``; None: skops, where it is
        installed and the estimator needs only safe types.
    skops_trusted_types
        More types that MLflow may load from a skops file.

    Raises
    ------
    ModelTooLargeError
        It takes more than `max_bytes`.
    InvalidParameterError
        It is no model of LightGBM, or cannot be saved so.
    MissingPackageError
        skops was asked for, and is not installed.
    """
    if not is_model(model):
        raise InvalidParameterError(
            f"A {type(model).__name__} is no model of LightGBM.",
            hint="Give a Booster, or an estimator such as LGBMClassifier.",
        )
    if serialization_format not in (None, *FORMATS):
        raise InvalidParameterError(
            f"LightGBM has no serialization_format {serialization_format!r}.",
            hint=f"There are: {', '.join(FORMATS)}.",
        )
    native: dict[str, Any] = {
        "lgb_version": library("lightgbm").__version__,
        "model_class": class_name(model),
        "code": None,
    }
    needed: tuple[str, ...] = _IN_USE
    if descends(model, "lightgbm", "Booster"):
        # Not a subclass: what comes back is a Booster.
        name, data, native["model_class"] = "model.lgb", model.model_to_string().encode(), _BOOSTER
    else:
        trusted = SAFE_TYPES | set(skops_trusted_types or ())
        name, data, how = _estimator(model, max_bytes, serialization_format, trusted)
        native["serialization_format"] = how
        native["skops_trusted_types"] = sorted(trusted) if how == "skops" else None
        needed = (*_IN_USE, "sklearn", "skops" if how == "skops" else "cloudpickle")
    check_size(len(data), max_bytes)
    return Snapshot(
        flavor=NAMES[0],
        model_class=class_name(model),
        files={name: data},
        native={**native, "data": name},
        pyfunc={"loader_module": LOADERS[0], "data": name},
        requirements=requirements(*needed),
    )


def runs_code(directory: Path, native: Mapping[str, Any]) -> str:
    """Return what it is: a pickle, a skops file, or a text.

    LightGBM's reader believes what a text says: one that was forged ends the process, or worse.
    Which types MLmodel calls trusted says nothing: whoever wrote the one wrote the other.
    """
    if native.get("model_class", _BOOSTER) == _BOOSTER:
        return "a text that LightGBM reads unchecked"
    if native.get("serialization_format") != "skops":
        return "a pickle"
    path = data_of(directory, native, "model.skops")
    others = sorted(skops_types(path) - SAFE_TYPES)
    return f"a skops file with {', '.join(others) or 'a text that LightGBM reads unchecked'}"


def load(directory: Path, native: Mapping[str, Any]) -> Any:
    """Return the Booster or the estimator. The caller has made sure that it can be trusted.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        LightGBM or skops is not installed; the file is not there, or is damaged.
    """
    lightgbm = library("lightgbm")
    path = data_of(directory, native, "model.lgb")
    if native.get("model_class", _BOOSTER) == _BOOSTER:
        return read(lambda: lightgbm.Booster(model_str=_whole(path)), path)
    if native.get("serialization_format") != "skops":
        return read(lambda: unpickled(path), path)
    types = sorted(skops_types(path))
    return read(lambda: library("skops.io").load(path, trusted=types), path)


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts; params it has none."""
    data_of(directory, native, "model.lgb", pyfunc)
    return _Predictor(load(directory, native))


class _Predictor:
    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return self._model.predict(data, **used(params, set()))


def _estimator(
    model: Any, max_bytes: int, how: str | None, trusted: frozenset[str]
) -> tuple[str, bytes, str]:
    """Return a file's name and content, and how it was made."""
    if how in {None, "skops"}:
        try:
            skops = library("skops.io")
            data: bytes = skops.dumps(model)
            others = sorted(set(skops.get_untrusted_types(data=data)) - trusted)
            if not others:
                return "model.skops", data, "skops"
            problem = f"it needs {', '.join(others)}"
        except MissingPackageError:
            if how:
                raise
        except Exception as error:  # noqa: BLE001  # it has no node for something, or the like
            problem = str(error)
        if how:
            raise InvalidParameterError(
                f"The {type(model).__name__} cannot be saved as skops: {problem}.",
                hint="Name the types in skops_trusted_types, or give "
                "serialization_format='cloudpickle'.",
            )
    return "model.pkl", pickled(model, max_bytes), "cloudpickle" if how is None else how


def _whole(path: Path) -> str:
    """Return a Booster's text, if all of it is there.

    LightGBM jumps from tree to tree by the sizes that the text's head tells, and does not look
    where it ends: a file that is cut off would be read beyond its end, or be a smaller model.

    Raises
    ------
    InvalidParameterError
        It is cut off, or is no such text.
    """
    data = path.read_bytes()
    head, _, trees = data.partition(b"\n\n")
    position, is_whole = 0, b"\npandas_categorical:" in trees
    for number, size in enumerate(head.rpartition(b"\ntree_sizes=")[2].split()):
        is_whole = is_whole and trees.startswith(b"Tree=%d\n" % number, position)
        position += int(size)
    if not (is_whole and trees.startswith(b"end of trees", position)):
        raise InvalidParameterError(f"{path} is damaged: it is no whole text of LightGBM.")
    return data.decode()
