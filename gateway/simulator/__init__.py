"""A whole camera or NVR, many at once, for demos, tests and benchmarks; against any GB/T 28181 platform."""

from gateway.simulator.device import DeviceEvent, Reporter, SimulatedDevice
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.simulator import Simulator, simulate

__all__ = [
    "DeviceEvent",
    "Quirk",
    "Reporter",
    "SimulatedDevice",
    "Simulator",
    "SimulatorOptions",
    "simulate",
]
