"""Sites behind a proxy: outbound connections only, all of them tunnels to the coordinator."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recommons.client.agent.connection import Connection
from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import PRIVACY, Deployment, found_deployment, running
from tests.deployment.faults import check_everybody, check_sums, end, started

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]

_LISTENING = "0A"  # in /proc/net/tcp


@contextmanager
def proxy(log: Path, port: int = 0) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    script = Path(__file__).with_name("connect_proxy.py")
    command = [sys.executable, str(script), str(log), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            end(process)


@pytest.fixture(scope="module")
def behind(
    tmp_path_factory: pytest.TempPathFactory, tiny_data: Path
) -> Iterator[tuple[Deployment, int, "subprocess.Popen[bytes]", Path]]:
    """Three sites, each with its environment's proxy and no other way named."""
    folder = tmp_path_factory.mktemp("proxy")
    log = folder / "proxy.log"
    found = found_deployment(folder / "all", tiny_data, **PRIVACY)
    with proxy(log) as (port, process):
        told = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "", "no_proxy": ""}
        for site in found.cohort:
            found.environment[site] = told
        with contextmanager(running)(found) as deployment:
            yield deployment, port, process, log


def listening(pid: int) -> set[str]:
    """Addresses at which a process takes connections."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.update(re.findall(r"^socket:\[(\d+)\]$", str(descriptor.readlink())))
        except FileNotFoundError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == _LISTENING and cells[9] in inodes:
                found.add(cells[1])
    return found


def test_a_whole_run_goes_through_the_proxy_and_nothing_comes_in(
    behind: tuple[Deployment, int, "subprocess.Popen[bytes]", Path],
) -> None:
    deployment, _port, _process, log = behind
    with started(deployment) as name:
        pass
    check_sums(deployment, name)
    site = next(iter(deployment.cohort))
    address = Connection.read(deployment.site(site)).address
    seen = log.read_text().splitlines()
    assert len(seen) >= len(deployment.cohort)
    assert set(seen) == {f"CONNECT {address} HTTP/1.1"}, "tunnels to the coordinator alone"
    for agent in deployment.agents.values():
        assert listening(agent.pid) == set()
    assert deployment.coordinator is not None
    assert listening(deployment.pid("gateway")), "the look itself can see who listens"


def test_a_check_says_which_proxy_it_is_and_that_it_does_not_answer(
    behind: tuple[Deployment, int, "subprocess.Popen[bytes]", Path],
) -> None:
    deployment, port, process, log = behind
    site = next(iter(deployment.cohort))

    def checked() -> dict[str, tuple[bool | None, str]]:
        words = ("site", "check", str(deployment.site(site)), "--json")
        told, _ = deployment.popen(site, *words, stdout=subprocess.PIPE).communicate(timeout=60)
        return {f["what"]: (f["ok"], f["said"]) for f in json.loads(told)["findings"]}

    assert checked()["proxy"] == (True, f"127.0.0.1:{port} answers")
    assert checked()["tls"][0]
    end(process)
    away = checked()
    assert away["proxy"][0] is False
    assert away["tls"][0] is False, "there is no way round the proxy"
    wait_until(lambda: '"agent/unreachable"' in deployment.log(site))
    with proxy(log, port):
        check_everybody(deployment)
