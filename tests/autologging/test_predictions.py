from hypothesis import given
from hypothesis import strategies as st

from nbtrack.autologging.predictions import Book, IdentityMap
from nbtrack.testing.fakes import FakeRun


class Equal:
    """All alike to everybody but the map."""

    def __eq__(self, other):
        return True

    __hash__ = None


@given(st.lists(st.tuples(st.sampled_from(["put", "drop"]), st.integers(0, 4), st.integers())))
def test_identity_map_holds_what_is_alive(steps):
    alive, model, entries = {}, {}, IdentityMap()
    for step, name, value in steps:
        if step == "put":
            thing = alive.setdefault(name, Equal())
            entries.put(thing, value)
            model[name] = value
            del thing
        else:
            alive.pop(name, None)
            model.pop(name, None)
        assert len(entries) == len(alive)
        assert {name: entries.get(thing) for name, thing in alive.items()} == model
        assert entries.get(Equal()) is None


def test_identity_map_takes_no_lists():
    entries, key = IdentityMap(), [1]
    entries.put(key, "x")
    assert entries.get(key) is None
    assert len(entries) == 0


def test_numbers_and_steps():
    run = FakeRun("0" * 32, "x")
    book = Book(run)
    for text in ("f(a)", "f(b)", "f(a)", "f(b)", "f(c)"):
        book.log("f", "X", text, 1.0)
    book.log("f", None, "f(a)", 1.0)
    assert {key: [step for step, _ in points] for key, points in run.metrics.items()} == {
        "f_X": [0, 1],
        "f-2_X": [0, 1],
        "f-3_X": [0],
        "f_unknown_dataset": [0],
    }


def test_data_of_the_same_name():
    """Another thing of a name has a number, unless the one before is gone, or was of earlier."""
    book, parts = Book(FakeRun("0" * 32, "x")), [Equal(), Equal(), Equal()]
    a, b, c = parts
    assert [book.dataset("X", data) for data in (a, b, a, None, c)] == ["X", "X-2", "X", "X", "X-3"]
    assert book.dataset("Z", c) == "Z"
    del parts[0], a
    new = Equal()
    assert book.dataset("X", new) == "X"
    book.clock = 1  # the next batch of a training
    newer = [Equal(), Equal()]
    assert [book.dataset("X", data) for data in newer] == ["X", "X-2"]
    many = [Equal() for _ in range(20)]
    assert len({book.dataset("Y", data) for data in many}) == 10
