"""A whole camera or NVR, many at once, for demos, tests and benchmarks; against any GB/T 28181 platform."""

from gateway.simulator.control import ReceivedControl
from gateway.simulator.defect import Defect
from gateway.simulator.device import DeviceEvent, Reporter, SimulatedDevice
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.quirk import Quirk
from gateway.simulator.scene import SimulatedChannel
from gateway.simulator.simulator import Simulator, simulate

__all__ = [
    "Defect",
    "DeviceEvent",
    "Quirk",
    "ReceivedControl",
    "Reporter",
    "SimulatedChannel",
    "SimulatedDevice",
    "Simulator",
    "SimulatorOptions",
    "simulate",
]
