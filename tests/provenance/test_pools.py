"""What is known of data that a boosting library holds in a form of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nbtrack.provenance import describe

X = np.random.default_rng(0).normal(size=(2_000, 3))
y = (X[:, 0] > 0).astype(float)
NAMES = ["one", "two", "three"]


def dmatrix(features: Any, labels: Any) -> Any:
    return pytest.importorskip("xgboost").DMatrix(features, labels, feature_names=NAMES)


def quantiles(features: Any, labels: Any) -> Any:
    return pytest.importorskip("xgboost").QuantileDMatrix(features, labels, feature_names=NAMES)


def dataset(features: Any, labels: Any) -> Any:
    found = pytest.importorskip("lightgbm").Dataset(features, labels, feature_name=NAMES)
    return found.construct()


def pool(features: Any, labels: Any) -> Any:
    return pytest.importorskip("catboost").Pool(features, labels, feature_names=NAMES)


MAKERS = [dmatrix, quantiles, dataset, pool]


@pytest.mark.parametrize("make", MAKERS)
def test_shape_columns_and_fingerprint(make: Callable[..., Any]) -> None:
    facts = describe(make(X, y), "data")
    assert facts.name == "data"
    assert facts.source_type in {"xgboost", "lightgbm", "catboost"}
    assert facts.profile == {"shape": [2_000, 3]}
    assert [column["name"] for column in facts.schema["columns"]] == NAMES
    assert facts.digest.startswith("xxh3-sampled:")
    assert describe(make(X, y), "data") == facts
    assert describe(make(X, 1 - y), "data").digest != facts.digest


@pytest.mark.parametrize("make", [dmatrix, pool])
def test_other_features_are_other_data(make: Callable[..., Any]) -> None:
    assert describe(make(X, y), "data").digest != describe(make(X + 1, y), "data").digest
    small = describe(make(X[:50], y[:50]), "data")
    assert small.digest.startswith("xxh3:")  # all of it was seen


def test_what_was_not_made_yet_is_not_made_for_this() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    data = lightgbm.Dataset(X, y)
    facts = describe(data, "data")
    assert (facts.digest, facts.profile) == ("", {})
    assert data._handle is None


def test_pools_with_text_have_a_fingerprint_of_their_labels() -> None:
    catboost = pytest.importorskip("catboost")
    data = catboost.Pool([["a"], ["b"], ["c"]], [0, 1, 0], cat_features=[0])
    assert describe(data, "data").digest.startswith("xxh3-sampled:")
