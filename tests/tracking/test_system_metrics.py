"""System metrics: MLflow's names, whole averages, an end at once, and no trouble for the run."""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from nbtrack.errors import InvalidParameterError, MissingPackageError
from nbtrack.tracking import notices, system_metrics
from nbtrack.tracking.system_metrics import SystemMetrics

MACHINE = {
    "cpu_utilization_percentage",
    "system_memory_usage_megabytes",
    "system_memory_usage_percentage",
    "disk_usage_percentage",
    "disk_usage_megabytes",
    "disk_available_megabytes",
    "network_receive_megabytes",
    "network_transmit_megabytes",
}
GPU = {
    "memory_usage_percentage",
    "memory_usage_megabytes",
    "utilization_percentage",
    "power_usage_watts",
    "power_usage_percentage",
}


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.rows: list[tuple[dict[str, float], int]] = []
        self.came = threading.Event()

    def __call__(self, metrics: Mapping[str, float], step: int) -> None:
        self.rows.append((dict(metrics), step))
        self.came.set()

    @property
    def steps(self) -> list[int]:
        return [step for _, step in self.rows]


@pytest.fixture(autouse=True)
def _each_cause_can_be_told() -> Iterator[None]:
    notices.forget()
    yield
    notices.defer(False)
    notices.forget()


@pytest.fixture
def told() -> Callable[[], list[str]]:
    """Hold warnings back, as a notebook does, and return what was told so far."""
    notices.defer(True)
    seen: list[str] = []

    def read() -> list[str]:
        notices.show_waiting(seen.append)
        return seen

    return read


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A psutil whose values count up: CPU 1, 2, 3 ... in each look."""
    looks = iter(range(1000))
    sent = iter(range(0, 10**9, 10**6))

    class State(types.SimpleNamespace):
        pass

    fake = types.SimpleNamespace(
        cpu_percent=lambda: float(next(looks)),
        virtual_memory=lambda: State(used=25e6, total=100e6),
        disk_usage=lambda path: State(percent=10.0, used=1e6, free=9e6),
        net_io_counters=lambda: State(bytes_recv=5e6, bytes_sent=next(sent) + 7e6),
    )
    monkeypatch.setitem(sys.modules, "psutil", fake)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    return fake


def gpus(count: int = 2) -> types.ModuleType:
    """Return a pynvml with so many cards."""
    nvml = types.ModuleType("pynvml")
    nvml.NVMLError = type("NVMLError", (Exception,), {})
    nvml.nvmlInit = lambda: None
    nvml.nvmlDeviceGetCount = lambda: count
    nvml.nvmlDeviceGetHandleByIndex = lambda i: i
    nvml.nvmlDeviceGetMemoryInfo = lambda h: types.SimpleNamespace(used=3e9, total=12e9)
    nvml.nvmlDeviceGetUtilizationRates = lambda h: types.SimpleNamespace(gpu=40 + h)
    nvml.nvmlDeviceGetPowerUsage = lambda h: 150_000
    nvml.nvmlDeviceGetEnforcedPowerLimit = lambda h: 300_000
    return nvml


def run(seconds: float = 0.0, *, rows: int = 1, **arguments: Any) -> Log:
    """Measure until so many rows came, and then for some seconds more."""
    log = Log()
    watch = SystemMetrics(log, **{"interval_s": 0.005, **arguments})
    watch.start()
    deadline = time.monotonic() + 10
    while len(log.rows) < rows and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(seconds)
    watch.stop()
    return log


def test_the_real_machine_has_mlflows_names() -> None:
    pytest.importorskip("psutil")
    log = run(rows=2)
    metrics, _ = log.rows[-1]
    names = {name.removeprefix("system/") for name in metrics}
    assert names - {n for n in names if n.startswith("gpu_")} == MACHINE
    assert 0 < metrics["system/system_memory_usage_percentage"] < 100
    assert metrics["system/disk_usage_megabytes"] > 1
    assert metrics["system/network_receive_megabytes"] >= 0
    assert log.steps == list(range(len(log.rows)))


@pytest.mark.usefixtures("machine")
def test_values_are_averages_and_networks_are_sums() -> None:
    metrics, step = run(samples=4).rows[0]
    assert step == 0
    assert metrics == {  # the very first look only begins the counts
        "system/cpu_utilization_percentage": 2.5,
        "system/system_memory_usage_megabytes": 25.0,
        "system/system_memory_usage_percentage": 25.0,
        "system/disk_usage_percentage": 10.0,
        "system/disk_usage_megabytes": 1.0,
        "system/disk_available_megabytes": 9.0,
        "system/network_receive_megabytes": 0.0,
        "system/network_transmit_megabytes": 4.0,
    }


@pytest.mark.usefixtures("machine")
def test_the_last_values_are_logged_at_the_end_and_none_after() -> None:
    log = Log()
    watch = SystemMetrics(log, interval_s=3600, samples=100)
    watch.start()
    began = time.monotonic()
    watch.stop()
    assert time.monotonic() - began < 1
    assert log.steps == [0]
    time.sleep(0.02)
    watch.stop()
    assert log.steps == [0]


@pytest.mark.usefixtures("machine")
def test_nodes_have_names_and_resumed_runs_go_on() -> None:
    log = run(node_id="node_0", first_step=7)
    assert all(name.startswith("system/node_0/") for name in log.rows[0][0])
    assert log.steps[0] == 7


@pytest.mark.usefixtures("machine")
def test_gpus_have_mlflows_names_and_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", gpus())
    metrics = run().rows[0][0]
    assert {name for name in metrics if "gpu" in name} == {
        f"system/gpu_{i}_{name}" for i in (0, 1) for name in GPU
    }
    assert metrics["system/gpu_0_memory_usage_percentage"] == 25.0
    assert metrics["system/gpu_0_memory_usage_megabytes"] == 3000.0
    assert metrics["system/gpu_1_utilization_percentage"] == 41.0
    assert metrics["system/gpu_1_power_usage_watts"] == 150.0
    assert metrics["system/gpu_1_power_usage_percentage"] == 50.0


@pytest.mark.usefixtures("machine")
def test_a_machine_without_gpus_is_no_news(
    monkeypatch: pytest.MonkeyPatch, told: Callable[[], list[str]]
) -> None:
    nvml = gpus()

    def none() -> None:
        raise nvml.NVMLError("no driver")

    nvml.nvmlInit = none  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert {name.removeprefix("system/") for name in run().rows[0][0]} == MACHINE
    assert told() == []


@pytest.mark.usefixtures("machine")
def test_a_card_that_does_not_tell_its_power_tells_the_rest(
    monkeypatch: pytest.MonkeyPatch, told: Callable[[], list[str]]
) -> None:
    nvml = gpus(1)

    def unsupported(handle: Any) -> int:
        raise nvml.NVMLError("not supported")

    nvml.nvmlDeviceGetPowerUsage = unsupported  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    names = {name for name in run(rows=3).rows[-1][0] if "gpu" in name}
    assert names == {f"system/gpu_0_{name}" for name in GPU if "power" not in name}
    assert told() == ["System metrics of GPU 0 (power) are left out: NVMLError: not supported."]


def test_a_sensor_that_fails_later_is_left_out_with_one_warning(
    machine: types.SimpleNamespace, told: Callable[[], list[str]]
) -> None:
    answers = iter([types.SimpleNamespace(percent=1.0, used=1, free=1)] * 3)
    machine.disk_usage = lambda path: next(answers)
    log = run(rows=8)
    assert "system/disk_usage_percentage" in log.rows[0][0]
    assert "system/disk_usage_percentage" not in log.rows[-1][0]
    assert "system/cpu_utilization_percentage" in log.rows[-1][0]
    assert len(told()) == 1
    assert "System metrics of disk are left out: StopIteration" in told()[0]


def test_a_machine_without_a_network_is_no_news(
    machine: types.SimpleNamespace, told: Callable[[], list[str]]
) -> None:
    machine.net_io_counters = lambda: None
    names = {name.removeprefix("system/") for name in run().rows[0][0]}
    assert names == {name for name in MACHINE if not name.startswith("network")}
    assert told() == []


@pytest.mark.usefixtures("machine")
def test_a_log_that_fails_ends_it_with_one_warning(told: Callable[[], list[str]]) -> None:
    calls = []

    def broken(metrics: Mapping[str, float], step: int) -> None:
        calls.append(step)
        raise OSError("disk full")

    watch = SystemMetrics(broken, interval_s=0.005)
    watch.start()
    thread = watch._thread
    assert thread is not None
    thread.join(5)
    watch.stop()
    assert calls == [0]
    assert told() == ["System metrics are logged no longer: OSError: disk full."]


def test_a_sensor_that_hangs_neither_holds_the_run_nor_logs_later(
    machine: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, released = threading.Event(), threading.Event()

    def hang(path: str) -> Any:
        inside.set()
        released.wait(10)
        return types.SimpleNamespace(percent=1.0, used=1, free=1)

    machine.disk_usage = hang
    monkeypatch.setattr(system_metrics, "_JOIN_S", 0.02)
    log = Log()
    watch = SystemMetrics(log, interval_s=0.005)
    watch.start()
    thread = watch._thread
    assert thread is not None
    assert inside.wait(5)
    watch.stop()
    released.set()
    thread.join(5)
    assert not thread.is_alive()
    assert log.rows == []


@pytest.mark.usefixtures("machine")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_no_thread_and_stops_at_once() -> None:
    log = Log()
    watch = SystemMetrics(log, interval_s=0.005)
    watch.start()
    assert log.came.wait(5)
    pid = os.fork()
    if pid == 0:
        before = len(log.rows)
        watch.stop()
        time.sleep(0.03)
        os._exit(0 if len(log.rows) == before and threading.active_count() == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    watch.stop()
    assert log.rows


@pytest.mark.usefixtures("machine")
def test_it_is_started_once() -> None:
    watch = SystemMetrics(Log())
    watch.stop()  # before it began: nothing to do
    watch.start()
    with pytest.raises(InvalidParameterError, match="were started before"):
        watch.start()
    watch.stop()


def test_without_psutil_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    watch = SystemMetrics(Log())
    with pytest.raises(MissingPackageError, match="needs the package 'psutil'") as caught:
        watch.start()
    assert caught.value.hint == "pip install psutil"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"interval_s": 0}, "0 is no interval"),
        ({"interval_s": float("nan")}, "nan is no interval"),
        ({"interval_s": float("inf")}, "inf is no interval"),
        ({"interval_s": "10"}, "'10' is no interval"),
        ({"samples": 0}, "0 is no number of samples"),
        ({"samples": 1.5}, "1.5 is no number of samples"),
        ({"node_id": ""}, "'' is no node_id"),
        ({"node_id": "a/b\n"}, "is no node_id"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says) as caught:
        SystemMetrics(Log(), **arguments)
    assert caught.value.hint


@pytest.mark.benchmark
def test_what_a_sample_costs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("psutil")
    watch = SystemMetrics(Log(), interval_s=3600)
    watch.start()
    began, count = time.thread_time(), 200
    for _ in range(count):
        watch._measure()
    cost = (time.thread_time() - began) / count
    watch.stop()
    with capsys.disabled():
        print(f"\nsystem metrics: {cost * 1e3:.2f} ms of CPU for a sample")
