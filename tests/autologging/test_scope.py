import os
import threading

import pytest

from nbtrack.autologging import scope


class Recorder:
    def __init__(self, interrupt=None):
        self.events, self.interrupt = [], interrupt

    def _event(self, name, *values):
        self.events.append((name, *values, scope.is_idle()))
        if name == self.interrupt:
            raise KeyboardInterrupt

    def begin(self):
        self._event("begin")

    def succeed(self, result):
        self._event("succeed", result)

    def fail(self, error):
        self._event("fail", type(error))


@pytest.fixture(autouse=True)
def switched_on():
    scope.switch(True)
    yield
    scope.switch(False)


def test_success():
    recorder = Recorder()
    assert scope.record(recorder, lambda a, b: (a, b, scope.is_idle()), (1,), {"b": 2}) == (
        1,
        2,
        False,
    )
    assert recorder.events == [("begin", False), ("succeed", (1, 2, False), False)]
    assert scope.is_idle()


@pytest.mark.parametrize("place", ["begin", "succeed", "fail"])
def test_a_broken_recorder_does_not_reach_the_user(place, monkeypatch):
    class Broken(Recorder):
        def _event(self, name, *values):
            if name == place:
                raise TypeError(place)

    told, error = [], ValueError("mine")
    monkeypatch.setattr(scope, "on_fault", [told.append])

    def call(fails):
        if fails:
            raise error
        return "result"

    assert scope.record(Broken(), call, (False,), {}) == "result"
    with pytest.raises(ValueError, match="mine") as caught:
        scope.record(Broken(), call, (True,), {})
    assert caught.value is error
    assert error.__context__ is None
    assert [str(fault) for fault in told] == [place] * (2 if place == "begin" else 1)
    assert scope.is_idle()


def test_failure_is_the_same_object():
    recorder, error = Recorder(), ValueError("mine")

    def call():
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        scope.record(recorder, call, (), {})
    assert caught.value is error
    assert error.__context__ is None
    assert recorder.events[-1] == ("fail", ValueError, False)
    assert scope.is_idle()


@pytest.mark.parametrize("place", ["begin", "succeed", "fail"])
def test_interrupt_in_the_recorder_ends_the_scope(place):
    def call():
        if place == "fail":
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        scope.record(Recorder(place), call, (), {})
    assert scope.is_idle()


def test_absorb_goes_back_to_where_it_was():
    assert scope.absorb(lambda: scope.absorb(scope.is_inside, (), {}), (), {})
    assert scope.absorb(lambda: (scope.absorb(int, (), {}), scope.is_inside())[1], (), {})
    assert scope.is_idle()


def test_threads_have_their_own_scope():
    seen = []

    def call():
        thread = threading.Thread(target=lambda: seen.append(scope.is_idle()))
        thread.start()
        thread.join()

    scope.record(Recorder(), call, (), {})
    assert seen == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_is_switched_off_until_it_asks():
    pid = os.fork()
    if pid == 0:
        off = not scope.is_idle()
        scope.switch(True)
        os._exit(0 if off and scope.is_idle() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert scope.is_idle()


def test_interrupts_at_random_moments_leave_no_scope_behind():
    """A real timer signal, thousands of times, at whatever line is running."""
    import random
    import signal

    interrupted = 0
    generator = random.Random(0)

    def handler(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(1500):
            try:
                signal.setitimer(signal.ITIMER_REAL, generator.uniform(1e-6, 6e-5))
                for _ in range(40):
                    scope.record(Recorder(), scope.absorb, (int, (), {}), {})
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert scope.is_idle()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 300
