"""Both consoles and the health endpoints while a real run goes on, in a real Chromium.

Coordinator, three agents and two consoles are processes of their own. One agent is stopped for a
while in the midst of a round, so that there is time to look. docs/_static/console-live.png is the
picture that is left in the temporary folder.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from recommons.server.operating.attendance import is_attended
from recommons.simulations.loopback import free_port, wait_until
from tests.deployment.conftest import COORDINATOR, Deployment, found_deployment, running

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH"),
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]
SITE, STOPPED = "site-01", "site-03"
LOOKS = [(360, "light"), (360, "dark"), (1100, "light"), (1100, "dark")]


@dataclass(frozen=True)
class Live:
    """A federation that runs, with a console for each side.

    Attributes:
        deployment: Its processes.
        consoles: Address and password by role.
        health: Port of the health endpoints by role.
    """

    deployment: Deployment
    consoles: dict[str, tuple[str, str]]
    health: dict[str, int]


@contextmanager
def console(deployment: Deployment, role: str, folder: Path) -> Iterator[tuple[str, str]]:
    """`recommons … console`, as its operator starts it; (address, password)."""
    words = (role, "console", str(folder), "--port", str(free_port()))
    process = deployment.popen(role, *words, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        told = (process.stdout.readline() + process.stdout.readline()).decode()
        (address,) = re.findall(r"^Console: (\S+)/$", told, re.MULTILINE)
        (password,) = re.findall(r"^Password: (\S+)", told, re.MULTILINE)
        yield address, password
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Iterator[Live]:
    deployment = found_deployment(tmp_path_factory.mktemp("live"), tiny_data, epsilon=8.0)
    health = {"coordinator": free_port(), "site": free_port()}
    for process, role in ((COORDINATOR, "coordinator"), (SITE, "site")):
        deployment.environment[process] = {"RECOMMONS_HEALTH": str(health[role])}
    folders = {"coordinator": deployment.home.folder, "site": deployment.site(SITE)}
    for started in running(deployment):
        with (
            console(started, "coordinator", folders["coordinator"]) as coordinator,
            console(started, "site", folders["site"]) as site,
        ):
            yield Live(started, {"coordinator": coordinator, "site": site}, health)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def opened(browser: Any, live: Live, role: str, width: int, scheme: str) -> Iterator[Any]:
    """A page of a console, logged in."""
    address, password = live.consoles[role]
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        locale="en",
        base_url=address,
        device_scale_factor=2 if width == 360 else 1,
    )
    page = context.new_page()
    page.goto("/")
    page.fill("#password", password)
    page.press("#password", "Enter")
    page.wait_for_url(address + "/")
    yield page
    context.close()


def look_at(page: Any, name: str) -> None:
    """It fits the screen, and axe-core has nothing against it."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    found = axe.Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found] == [], name


@contextmanager
def continued(agent: "subprocess.Popen[bytes]") -> Iterator[Callable[[], None]]:
    """A stopped process goes on when told to, and at the end in any case."""
    try:
        yield lambda: agent.send_signal(signal.SIGCONT)
    finally:
        agent.send_signal(signal.SIGCONT)


def get(port: int, path: str) -> str:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10, trust_env=False).text


def value(text: str, name: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return float(line.rsplit(" ", 1)[1])


def test_consoles_and_metrics_follow_a_real_run_to_its_release(browser: Any, live: Live) -> None:
    deployment = live.deployment
    wait_until(lambda: '"ready": true' in get(live.health["coordinator"], "/readyz"))
    plan = deployment.write_plan(model="als", epsilon=8)
    watched = deployment.in_background("run", str(plan))
    deployment.wait_for_step("001", "shares")
    agent = deployment.agents[STOPPED]
    agent.send_signal(signal.SIGSTOP)
    with (
        continued(agent) as go_on,
        opened(browser, live, "coordinator", 1100, "light") as coordinator,
        opened(browser, live, "site", 360, "dark") as site,
    ):
        now = playwright.expect(coordinator.locator("#now"))
        there = playwright.expect(site.locator("#now"))
        now.to_contain_text("Run 001, round 1 of", timeout=15_000)
        playwright.expect(coordinator.locator("#round")).to_contain_text("3 of 3")
        metrics = get(live.health["coordinator"], "/metrics")
        assert value(metrics, 'recommons_coordinator_runs{state="running"}') == 1
        assert value(metrics, "recommons_coordinator_run_round") == 1
        # No more looks than these: a stopped agent counts as gone for Flower after a minute.
        look_at(coordinator, "coordinator")
        look_at(site, "site")
        coordinator.screenshot(path=deployment.folder / "console-live.png")
        assert is_attended(deployment.run_folder("001"))
        go_on()
        assert watched.wait(180) == 0
        # Neither page is loaded again: it asks by itself.
        now.to_contain_text("Run 001 finished", timeout=30_000)
        there.to_contain_text("No run is going on", timeout=30_000)
    metrics = get(live.health["coordinator"], "/metrics")
    assert value(metrics, 'recommons_coordinator_runs{state="finished"}') == 1
    assert value(metrics, "recommons_coordinator_releases") == 1
    assert 7 < value(metrics, "recommons_coordinator_run_epsilon_released") <= 8
    assert value(get(live.health["site"], "/metrics"), "recommons_site_connected") == 1


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_after_the_run_is_readable(
    browser: Any, live: Live, width: int, scheme: str
) -> None:
    pages = {
        "coordinator": ("/", "/runs", "/runs/{run}", "/sites", "/releases", "/refusals"),
        "site": ("/", "/rounds", "/outbound", "/budget", "/releases", "/refusals"),
    }
    run = (live.deployment.run_folder("001") / "run.json").read_text().strip()
    for role, paths in pages.items():
        with opened(browser, live, role, width, scheme) as page:
            for path in (path.format(run=run) for path in paths):
                assert page.goto(path).status == 200
                look_at(page, f"{role} {path}")
                if path == "/outbound":
                    assert page.locator("#messages tbody tr").count() > 10
