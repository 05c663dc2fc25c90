"""A whole camera or NVR, many at once, for demos, tests and benchmarks; against any GB/T 28181 platform."""
