"""Hosts of their own on one machine: network namespaces on a bridge, and small disks.

Everything lives in a user namespace of the test's own, so that no privilege is needed; where the
kernel does not permit that either, tests that need it are skipped by name.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

__all__ = ["Network", "SmallDisk", "network", "small_disk"]


@dataclass(frozen=True)
class Network:
    """Hosts on one switch.

    Attributes:
        switch: The process that holds the switch's namespaces.
        hosts: By host, the process that holds its network namespace.
        addresses: By host.
    """

    switch: int
    hosts: dict[str, int]
    addresses: dict[str, str]

    def within(self, host: str) -> tuple[str, ...]:
        """What runs a command on a host."""
        return _within(self.hosts[host], "--net")

    def cut(self, host: str) -> None:
        """Pull the host's plug out of the switch: nothing arrives, and nobody is told."""
        self._link(host, "down")

    def mend(self, host: str) -> None:
        """Put it in again."""
        self._link(host, "up")

    def _link(self, host: str, state: str) -> None:
        _run(_within(self.switch, "--net"), "ip", "link", "set", _port(host, self.hosts), state)


@contextmanager
def network(hosts: Sequence[str]) -> Iterator[Network]:
    """Hosts with an address each; skips the test where namespaces are not permitted."""
    _need("unshare", "nsenter", "ip")
    with ExitStack() as stack:
        switch = stack.enter_context(_holder("unshare", "--user", "--map-root-user", "--net"))
        inside = _within(switch, "--net")
        _or_skip(inside, "ip", "link", "add", "switch", "type", "bridge")
        _run(inside, "ip", "link", "set", "switch", "up")
        found: dict[str, int] = {}
        addresses: dict[str, str] = {}
        for number, host in enumerate(hosts, 1):
            holder = stack.enter_context(_holder(*inside, "unshare", "--net"))
            found[host], addresses[host] = holder, f"10.77.0.{number}"
            port, own = _port(host, found), _within(holder, "--net")
            pair = ("type", "veth", "peer", "name", "eth0", "netns", str(holder))
            _run(inside, "ip", "link", "add", port, *pair)
            _run(inside, "ip", "link", "set", port, "master", "switch", "up")
            _run(own, "ip", "address", "add", f"{addresses[host]}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _run(own, "ip", "link", "set", link, "up")
        yield Network(switch, found, addresses)


@dataclass(eq=False)
class SmallDisk:
    """A file system of a few megabytes.

    Attributes:
        folder: Where it is reached from any process of this machine, but for SQLite, which takes
            links apart by itself: what has a database there must run `within`.
        within: What runs a command where the disk is mounted.
    """

    folder: Path
    within: tuple[str, ...]

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Without a byte to spare for as long as this lasts, whatever is freed meanwhile."""
        over = threading.Event()

        def keep_full() -> None:
            with (self.folder / "ballast").open("ab", buffering=0) as ballast:
                while not over.is_set():
                    for size in (1 << 16, 1 << 12, 1):
                        _pour(ballast, size)
                    over.wait(0.01)

        filling = threading.Thread(target=keep_full)
        filling.start()
        try:
            _wait_until(lambda: shutil.disk_usage(self.folder).free == 0)
            yield
        finally:
            over.set()
            filling.join()
            (self.folder / "ballast").unlink()


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk of its own; skips the test where namespaces are not permitted.

    Args:
        place: An empty folder over which it is mounted, for the holder of its namespace alone.
        megabytes: Its size.
    """
    _need("unshare", "mount")
    mount = f'mount -t tmpfs -o size={megabytes}m small "$1" && exec sleep infinity'
    command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    place.mkdir(parents=True)
    with _holder(*command, str(place), rest=()) as holder:
        # Through the holder's eyes; the same path for everybody.
        folder = Path(f"/proc/{holder}/root") / place.resolve().relative_to("/")
        _wait_until(lambda: folder.is_mount())
        yield SmallDisk(folder, _within(holder, "--mount"))


def _pour(ballast: IO[bytes], size: int) -> None:
    with suppress(OSError):
        while True:
            ballast.write(bytes(size))


@contextmanager
def _holder(*command: str, rest: Sequence[str] = ("sleep", "infinity")) -> Iterator[int]:
    """A process that keeps a namespace; known by its pid."""
    process = subprocess.Popen([*command, *rest], stderr=subprocess.PIPE, text=True)
    try:
        _wait_until(lambda: process.poll() is not None or _became(process.pid, "sleep"))
        if process.poll() is not None:
            said = process.stderr.read().strip() if process.stderr else ""
            pytest.skip(f"namespaces are not permitted here: {said}")
        yield process.pid
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def _wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.01)


def _became(pid: int, name: str) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == name


def _within(pid: int, *kinds: str) -> tuple[str, ...]:
    return ("nsenter", "--target", str(pid), "--user", *kinds, "--preserve-credentials")


def _port(host: str, hosts: dict[str, int]) -> str:
    """The name of the switch's socket for a host: at most 15 signs."""
    return f"port{list(hosts).index(host)}"


def _run(prefix: Sequence[str], *command: str) -> None:
    subprocess.run([*prefix, *command], check=True, capture_output=True)


def _or_skip(prefix: Sequence[str], *command: str) -> None:
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command)} is not permitted here: {done.stderr.strip()}")


def _need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
