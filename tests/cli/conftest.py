"""A database that commands have something to say about."""

from __future__ import annotations

import pytest

from nbtrack.tracking import Client


@pytest.fixture
def filled(client: Client) -> Client:
    with client.start_run("first", tags={"estimator_name": "KMeans"}) as run:
        run.log_metrics({"acc": 0.97333, "\x1b[31mred": 1.0})
        run.log_param("a", 1)
        run.log_model({"any": "object"}, "sklearn")
    with client.start_run("second \x1b]0;x\a", experiment_name="other") as run:
        run.log_metric("nan", float("nan"))
    client.flush()
    return client
