"""The names that several fits of one run share."""

import numpy as np
import pytest

from nbtrack.autologging import book as module
from nbtrack.autologging.book import Book
from nbtrack.media import Plot
from nbtrack.testing.fakes import FakeTracker


@pytest.fixture
def book():
    return Book(FakeTracker().begin_run("mine"))


def test_first_fit_has_the_plain_names(book):
    first, second = book.chapter("Ridge"), book.chapter("Ridge")
    first.log_metrics({"fit_time_s": 1.0, "n_iter": 3.0})
    second.log_metrics({"fit_time_s": 2.0})
    first.log_metrics({"fit_time_s": 3.0})
    assert book.run.metrics == {
        "fit_time_s": [(0, 1.0), (1, 3.0)],
        "n_iter": [(0, 3.0)],
        "Ridge-2.fit_time_s": [(0, 2.0)],
    }


def test_params_of_equal_value_share_a_name(book):
    first, second, third = (book.chapter("A") for _ in range(3))
    assert first.params({"x": 1, "y": None}) == {"x": 1, "y": None}
    assert second.params({"x": 1, "y": 2}) == {"x": 1, "A-2.y": 2}
    assert third.params({"x": "1", "z": 0}) == {"x": "1", "z": 0}
    assert first.params({"x": 5}) == {"x": 5}


def test_a_curve_that_has_grown_goes_on(book):
    chapter = book.chapter("MLPClassifier")
    chapter.log_curve("loss_curve", [3.0, 2.0])
    chapter.log_curve("loss_curve", [3.0, 2.0, 1.0])
    chapter.log_curve("loss_curve", [0.5])  # another one
    assert book.run.metrics["loss_curve"] == [(0, 3.0), (1, 2.0), (2, 1.0), (3, 0.5)]


def test_metrics_go_by_the_clock_of_the_training(book):
    for clock in (0, 4, 4, 9):
        book.clock = clock
        book.log("accuracy_score", "X", "accuracy_score(y, p)", 0.5)
    assert [step for step, _ in book.run.metrics["accuracy_score_X"]] == [0, 4, 5, 9]


def test_plots_of_a_second_fit_have_its_name(book):
    for _ in range(2):
        book.chapter("Ridge").log_plot(Plot("coefficients", "coefficients", {"feature": []}))
    assert set(book.run.plots) == {"coefficients", "Ridge-2.coefficients"}


def test_what_is_drawn_again(book, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    y, p, q = np.zeros(3), np.zeros(3), np.zeros(3)
    assert book.is_to_draw("a", y, p)
    assert not book.is_to_draw("a", y, q)  # right after it
    assert book.is_to_draw("b", y, p)
    now[0] += 1
    assert not book.is_to_draw("a", y, p)  # the very same
    assert book.is_to_draw("a", y, q)
    now[0] += 1
    assert book.is_to_draw("a", [1], [1])
    now[0] += 1
    assert book.is_to_draw("a", [1], [1])
