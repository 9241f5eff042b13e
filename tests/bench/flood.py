"""Floods of unfinished requests on a process with 1,024 file descriptors: slowest /readyz, log, memory."""

import asyncio
import http.client
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bot.http.app import SLACK_PATH
from tests.bench.measurement import Measurement

DESCRIPTORS = 1_024
CONNECTIONS = 1_100
BODIES, BODY_BYTES = 1_000, 1_000_000
FLOOD_S = 3.0
HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nX-Slow: "
POST = f"POST {SLACK_PATH} HTTP/1.1\r\nHost: here\r\nContent-Length: {BODY_BYTES}\r\n\r\n".encode()
FLOODS = {"half-open": (CONNECTIONS, HALF_A_HEAD), "bodies": (BODIES, POST + bytes(BODY_BYTES - 1))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The web app in its own process."""

    port: int
    pid: int
    log: Path

    def peak_mb(self) -> float:
        """Return the peak of its resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM")]
        return int(peak) / 1024

    def readyz_ms(self) -> float:
        """Return how long /readyz takes on a new connection."""
        start = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        connection.request("GET", "/readyz")
        if connection.getresponse().status != http.HTTPStatus.OK:
            raise AssertionError("/readyz is not 200")
        connection.close()
        return 1000 * (time.perf_counter() - start)


async def bench() -> list[Measurement]:
    """Measure 1,100 half-open connections, then 1,000 unauthenticated bodies of 1 MB."""
    async with _server() as server:
        calm_ms = median(server.readyz_ms() for _ in range(20))
        calm_mb = server.peak_mb()
        half_open = await _flood(server, "half-open")
        log_kb = (await asyncio.to_thread(server.log.stat)).st_size / 1000
        bodies = await _flood(server, "bodies")
        peak_mb = server.peak_mb()
    return [
        *(
            Measurement(
                name=f"slowest /readyz, {what}",
                measured=max(times),
                baseline=calm_ms,
                baseline_name="without a flood",
                unit="ms",
                budget=1_000,
            )
            for what, times in (("1,100 half-open connections", half_open), ("1,000 bodies of 1 MB", bodies))
        ),
        Measurement(
            name="log of 1,100 half-open connections",
            measured=log_kb,
            baseline=FLOOD_S,
            baseline_name="a second",
            unit="kB",
            budget=100,
        ),
        Measurement(
            name="memory for 1,000 bodies of 1 MB",
            measured=peak_mb - calm_mb,
            baseline=BODIES,
            baseline_name="of bodies",
            unit="MB",
            budget=120,
        ),
    ]


async def _flood(server: Server, what: str) -> list[float]:
    """Flood the server from another process for a while; return the times of /readyz meanwhile."""
    program = (sys.executable, "-m", "tests.bench.flood", what, str(server.port))
    flooding = await asyncio.create_subprocess_exec(*program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert flooding.stdin is not None
    assert flooding.stdout is not None
    await flooding.stdout.readline()
    times, end = list[float](), time.monotonic() + FLOOD_S
    while time.monotonic() < end:
        times.append(await asyncio.to_thread(server.readyz_ms))
        await asyncio.sleep(0.05)
    flooding.stdin.close()
    await flooding.wait()
    return times


async def flood(what: str, port: int) -> None:
    """Hold connections with unfinished requests, and open those again that are closed, until standard input ends."""
    connections, data = FLOODS[what]

    async def hold() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                await reader.read()
                writer.close()
            await asyncio.sleep(0.5)

    holding = [asyncio.create_task(hold()) for _ in range(connections)]
    print("flooding", flush=True)  # noqa: T201 -- read by the parent process
    await asyncio.to_thread(sys.stdin.read)
    for task in holding:
        task.cancel()
    await asyncio.gather(*holding, return_exceptions=True)


@asynccontextmanager
async def _server() -> AsyncIterator[Server]:
    program = f"ulimit -n {DESCRIPTORS}; exec {sys.executable} -m tests.bench.http_app ours"
    with tempfile.NamedTemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Server(port=int(await process.stdout.readline()), pid=process.pid, log=Path(log.name))
        finally:
            process.stdin.close()
            await process.wait()


if __name__ == "__main__":
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    asyncio.run(flood(sys.argv[1], int(sys.argv[2])))
