"""The store in PostgreSQL: a private server on a socket, started for these tests."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster

from gateway.domain.device import Device
from gateway.domain.errors import Unavailable
from gateway.observe.metrics import Metrics
from gateway.store.sql import SqlStore
from tests.gateway.store.contract import DEVICE, StoreContract
from tests.gateway.store.document_contract import DocumentContract
from tests.gateway.store.recording_contract import RecordingContract


def binaries() -> Path | None:
    """Where the server's programs are: in the path, or where Debian puts them."""
    initdb = shutil.which("initdb")
    if initdb is not None:
        return Path(initdb).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


pytest.importorskip("asyncpg")
BINARIES = binaries()
pytestmark = pytest.mark.skipif(BINARIES is None, reason="PostgreSQL's initdb is not installed")


class Server:
    """A cluster in a directory of its own, reached by a socket in it."""

    def __init__(self, directory: Path) -> None:
        assert BINARIES is not None
        self.directory = directory
        self.binaries = BINARIES
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        self.run(
            "initdb",
            "-D",
            directory / "data",
            "-U",
            "gateway",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        )

    def run(self, program: str, *arguments: str | Path) -> None:
        # PostgreSQL does not run as root.
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*prefix, self.binaries / program, *arguments]
        subprocess.run(
            command, check=True, cwd=self.directory, stdout=subprocess.DEVNULL, timeout=60
        )

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.directory} -c fsync=off"
        log = self.directory / "log"
        self.run("pg_ctl", "-D", self.directory / "data", "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.directory / "data", "-m", "immediate", "-w", "stop")

    def create_database(self) -> str:
        name = f"g{uuid.uuid4().hex}"
        self.run("createdb", "-h", self.directory, "-U", "gateway", "-T", "template0", name)
        return f"postgresql+asyncpg://gateway@/{name}?host={self.directory}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="gateway-pg-", dir="/tmp") as directory:
        server = Server(Path(directory))
        server.start()
        yield server
        server.stop()


@pytest.fixture(autouse=True)
def driver_looks_for_its_files(no_blocking_calls: BlockBuster) -> None:
    """On connecting asyncpg looks for client certificates and a password file: a few stat calls."""
    for function in no_blocking_calls.functions.values():
        function.can_block_in(
            "asyncpg/connect_utils.py", {"_parse_connect_dsn_and_args", "_dot_postgresql_path"}
        )


@pytest.fixture
def url(server: Server) -> str:
    return server.create_database()


class TestPostgresql(StoreContract):
    """The contract."""


class TestPostgresqlDocuments(DocumentContract):
    """The contract of documents and codes."""


class TestPostgresqlRecordings(RecordingContract):
    """The contract of the index of recordings."""


async def test_a_server_that_went_away_is_found_again(url: str, server: Server) -> None:
    async with SqlStore(url, Metrics(process=False), group_commit=0.001) as store:
        await store.save_device(Device(device_id=DEVICE))
        server.stop()
        with pytest.raises(Unavailable, match="does not work since"):
            await store.save_device(Device(device_id=DEVICE, name="lost"))
        store.touch_device(Device(device_id=DEVICE, name="kept"))
        server.start()
    async with SqlStore(url, Metrics(process=False)) as store:
        assert [device.name for device in await store.load_devices()] == ["kept"]


async def test_a_server_that_is_not_there_is_reported_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg://gateway:hunter2@/x?host={tmp_path}"
    with pytest.raises(Unavailable, match="cannot be opened") as caught:
        await SqlStore(url, Metrics(process=False)).__aenter__()
    assert "hunter2" not in str(caught.value)


async def test_a_missing_driver_is_reported_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(
        Unavailable, match=r"needs the package asyncpg: install gb28181-gateway\[postgresql\]"
    ):
        await SqlStore("postgresql+asyncpg://h/x", Metrics(process=False)).__aenter__()
