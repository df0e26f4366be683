"""How busy the machine is while a run goes on: CPU, memory, disk, network, GPUs.

Names, units and averages are MLflow's. A thread looks every few seconds; what it finds it hands to
a function, and what fails on the way costs a warning at most.
"""

from __future__ import annotations

import functools
import math
import os
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.media.optional import need
from nbtrack.tracking.notices import warn

PREFIX = "system/"
_FIRST_S = 1.0  # a use of the CPU that is measured over less says little
_JOIN_S = 5.0  # a sensor may hang: a disk of another machine that has gone
_MB = 1e6
_NODE_ID = re.compile(r"[\w.-]+")

Values = dict[str, float]
Sensor = Callable[[], Values]


class SystemMetrics:
    """Measure the machine in a thread, from `start` to `stop`.

    Parameters
    ----------
    log
        Called in the thread with metrics by name, and their step.
    interval_s
        Seconds from one measurement to the next.
    samples
        How many measurements are averaged for one step.
    node_id
        Which of several machines this is; becomes part of the names: ``system/<node_id>/...``.
    first_step
        Step of the first metrics; later than 0 when a run is resumed.

    Raises
    ------
    InvalidParameterError
        A number that is not positive, or a node_id that no metric can have in its name.

    Examples
    --------
    >>> seen = {}
    >>> watch = SystemMetrics(lambda metrics, step: seen.update(metrics))
    >>> watch.start()
    >>> watch.stop()
    >>> seen["system/system_memory_usage_percentage"] > 0
    True
    """

    def __init__(
        self,
        log: Callable[[Mapping[str, float], int], None],
        interval_s: float = 10.0,
        samples: int = 1,
        *,
        node_id: str | None = None,
        first_step: int = 0,
    ) -> None:
        _check(interval_s, samples, node_id)
        self._log, self._interval_s, self._samples = log, float(interval_s), samples
        self._prefix = f"{PREFIX}{node_id}/" if node_id else PREFIX
        self._step = first_step
        self._sensors: dict[str, Sensor] = {}
        self._gathered: list[Values] = []
        self._stopping = threading.Event()
        self._logging = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def start(self) -> None:
        """Begin to measure; the first values come after a second.

        Raises
        ------
        MissingPackageError
            psutil is not installed.
        InvalidParameterError
            It was started before.
        """
        if self._pid:
            raise InvalidParameterError(
                f"These system metrics were started before, by process {self._pid}.",
                hint="Make another SystemMetrics; first_step says where it goes on.",
            )
        psutil = need("psutil", "psutil", "Logging system metrics")
        self._sensors = {**_machine(psutil), **_gpus()}
        self._pid = os.getpid()
        self._thread = threading.Thread(
            target=self._watch, name="nbtrack-system-metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Log what was measured since the last step, and end. Nothing is logged after this."""
        thread, self._thread = self._thread, None
        if thread is None or self._pid != os.getpid():  # a forked child has no such thread
            return
        self._stopping.set()
        thread.join(_JOIN_S)
        with self._logging:
            self._sensors.clear()  # also what is told to a thread that still hangs

    def _watch(self) -> None:
        self._measure()  # CPU and network are counted from the first look, by this thread
        done = self._stopping.wait(min(_FIRST_S, self._interval_s))
        while True:
            self._gathered.append(self._measure())
            if (done or len(self._gathered) >= self._samples) and not self._publish():
                return
            if done:
                return
            done = self._stopping.wait(self._interval_s)

    def _measure(self) -> Values:
        values: Values = {}
        for name, sensor in list(self._sensors.items()):
            try:
                values |= sensor()
            except Exception as error:  # noqa: BLE001  # a broken sensor is not the run's trouble
                self._drop(name, error)
        return values

    def _publish(self) -> bool:
        """Log the averages of what was gathered; False if there is nothing to go on for."""
        metrics = {self._prefix + key: value for key, value in _averages(self._gathered).items()}
        self._gathered = []
        with self._logging:
            if not self._sensors:
                return False
            try:
                self._log(metrics, self._step)
            except Exception as error:  # noqa: BLE001  # nobody could catch it in this thread
                warn(f"System metrics are logged no longer: {type(error).__name__}: {error}.")
                return False
        self._step += 1
        return True

    def _drop(self, name: str, error: Exception) -> None:
        self._sensors.pop(name, None)
        warn(
            f"System metrics of {name} are left out: {type(error).__name__}: {error}.",
            cause=f"system metrics: {name}",
        )


def _check(interval_s: float, samples: int, node_id: str | None) -> None:
    if not (isinstance(interval_s, int | float) and 0 < interval_s < math.inf):
        raise InvalidParameterError(
            f"{interval_s!r} is no interval for system metrics; use a number of seconds above 0.",
            hint="The default is 10.",
        )
    if not isinstance(samples, int) or samples < 1:
        raise InvalidParameterError(
            f"{samples!r} is no number of samples for system metrics; use a whole number from 1.",
            hint="It says how many measurements are averaged; the default is 1.",
        )
    if node_id is not None and not _NODE_ID.fullmatch(node_id):
        raise InvalidParameterError(
            f"{node_id!r} is no node_id; use letters, digits, _ - and dots.",
            hint="It becomes part of the names of metrics: system/<node_id>/...",
        )


def _averages(samples: list[Values]) -> Values:
    """Return the mean of each value, rounded to a tenth; of a network the last sum as it is."""
    found: dict[str, list[float]] = {}
    for values in samples:
        for key, value in values.items():
            found.setdefault(key, []).append(value)
    return {
        key: values[-1] if key.startswith("network_") else round(sum(values) / len(values), 1)
        for key, values in found.items()
    }


def _machine(psutil: Any) -> dict[str, Sensor]:
    def cpu() -> Values:
        return {"cpu_utilization_percentage": psutil.cpu_percent()}

    def memory() -> Values:
        state = psutil.virtual_memory()
        return {
            "system_memory_usage_megabytes": state.used / _MB,
            "system_memory_usage_percentage": state.used / state.total * 100,
        }

    def disk() -> Values:
        state = psutil.disk_usage(os.sep)
        return {
            "disk_usage_percentage": state.percent,
            "disk_usage_megabytes": state.used / _MB,
            "disk_available_megabytes": state.free / _MB,
        }

    before: list[Any] = []

    def network() -> Values:
        now = psutil.net_io_counters()
        if now is None:  # no network, as in some containers
            return {}
        if not before:
            before.append(now)
        return {
            "network_receive_megabytes": (now.bytes_recv - before[0].bytes_recv) / _MB,
            "network_transmit_megabytes": (now.bytes_sent - before[0].bytes_sent) / _MB,
        }

    return {"cpu": cpu, "memory": memory, "disk": disk, "network": network}


def _gpus() -> dict[str, Sensor]:
    """Return the sensors of NVIDIA's GPUs; none where there are none, or nothing to ask them by."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an older package of this name says that it is old
            nvml = import_module("pynvml")
    except ImportError:
        return {}
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:  # it is installed on a machine without a GPU
        return {}
    sensors: dict[str, Sensor] = {}
    for index, handle in enumerate(handles):
        for part in (_gpu_memory, _gpu_use, _gpu_power):
            # Some cards cannot tell one of them: each can be left out by itself.
            name = f"GPU {index} ({part.__name__.removeprefix('_gpu_')})"
            sensors[name] = functools.partial(part, nvml, handle, f"gpu_{index}_")
    return sensors


def _gpu_memory(nvml: Any, handle: Any, prefix: str) -> Values:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return {
        f"{prefix}memory_usage_percentage": round(memory.used / memory.total * 100, 1),
        f"{prefix}memory_usage_megabytes": memory.used / _MB,
    }


def _gpu_use(nvml: Any, handle: Any, prefix: str) -> Values:
    return {f"{prefix}utilization_percentage": nvml.nvmlDeviceGetUtilizationRates(handle).gpu}


def _gpu_power(nvml: Any, handle: Any, prefix: str) -> Values:
    milliwatts = nvml.nvmlDeviceGetPowerUsage(handle)
    limit = nvml.nvmlDeviceGetEnforcedPowerLimit(handle)
    return {
        f"{prefix}power_usage_watts": milliwatts / 1000,
        f"{prefix}power_usage_percentage": milliwatts / limit * 100,
    }
