"""Registrations and keepalives a second, with sipp as load: `python tests/bench/bench_register.py`.

The gateway runs alone on core 0 with its store on, sipp on core 1. 10,000 ids register once (each made
durable), then in turn again; the second round is measured. CPU is the gateway process's own, from /proc.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVER = "34020000002000000001"
DOMAIN = SERVER[:10]
PASSWORD = "bench-common-password"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """Result of one sipp run."""

    completed: int
    failed: int
    retransmitted: int
    seconds: float
    gateway_cpu: float

    def line(self, name: str) -> str:
        """One line for the README."""
        rate = self.completed / self.seconds
        each = self.gateway_cpu / max(1, self.completed) * 1e6
        return (
            f"{name}: {rate:,.0f}/s, {each:.0f} us of CPU each "
            f"({self.gateway_cpu / self.seconds * 100:.0f} % of a core), "
            f"{self.completed} done, {self.failed} failed, {self.retransmitted} retransmissions"
        )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_kib(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def free_port() -> int:
    """A UDP port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def write_ids(path: Path, count: int) -> None:
    """The injection file of sipp, one device a line, in turn."""
    lines = ["SEQUENTIAL"]
    for number in range(1, count + 1):
        device = f"34020000001320{number:06d}"
        auth = f"[authentication username={device} password={PASSWORD}]"
        lines.append(f"{device};{auth};{SERVER};{DOMAIN}")
    path.write_text("\n".join(lines) + "\n")


def run_sipp(scenario: str, ids: Path, port: int, pid: int, calls: int, rate: int) -> Load:
    """One bounded sipp run on core 1."""
    stats = ids.with_name(f"{scenario}-{time.monotonic_ns()}.csv")
    command = [
        "taskset", "-c", "1", "sipp", f"127.0.0.1:{port}", "-i", "127.0.0.1",
        "-sf", str(HERE / "scenarios" / f"{scenario}.xml"), "-inf", str(ids),
        "-m", str(calls), "-r", str(rate), "-l", "1000", "-timeout", "120", "-nostdin",
        "-trace_stat", "-stf", str(stats), "-fd", "1", "-buff_size", "8388608",
    ]  # fmt: skip
    before, start = cpu_seconds(pid), time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    seconds, used = time.monotonic() - start, cpu_seconds(pid) - before
    names, *_, last = [line.rstrip(";\n").split(";") for line in stats.read_text().splitlines()]
    row = dict(zip(names, last, strict=False))
    return Load(
        completed=int(row["SuccessfulCall(C)"]),
        failed=int(row["FailedCall(C)"]),
        retransmitted=int(row["Retransmissions(C)"]),
        seconds=seconds,
        gateway_cpu=used,
    )


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=8_000, help="calls a second offered")
    parser.add_argument("--rounds", type=int, default=6, help="times each id registers again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ids = Path(folder) / "ids.csv"
        write_ids(ids, options.ids)
        port = free_port()
        environment = os.environ | {
            "GATEWAY__DATA_DIR": folder,
            "GATEWAY__SIP__ID": SERVER,
            "GATEWAY__SIP__PASSWORD": PASSWORD,
            "GATEWAY__SIP__HOST": "127.0.0.1",
            "GATEWAY__SIP__PORT": str(port),
            "GATEWAY__HTTP__PORT": "0",
            "GATEWAY__RTSP__PORT": "0",
            "GATEWAY__LOG__LEVEL": "warning",
        }
        gateway = subprocess.Popen(
            ["taskset", "-c", "0", sys.executable, "-m", "gateway", "serve"],
            env=environment,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        try:
            time.sleep(3)
            base = memory_kib(gateway.pid)
            first = run_sipp("register", ids, port, gateway.pid, options.ids, options.rate)
            print(first.line("first registrations (durable)"), flush=True)
            grown = memory_kib(gateway.pid) - base
            print(f"memory after {first.completed} devices: {grown / first.completed:.2f} KiB each")
            calls = options.ids * options.rounds
            again = run_sipp("register", ids, port, gateway.pid, calls, options.rate)
            print(again.line("digest registrations, known ids"), flush=True)
            alive = run_sipp("keepalive", ids, port, gateway.pid, calls, 2 * options.rate)
            print(alive.line("keepalives"), flush=True)
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
