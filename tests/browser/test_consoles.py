"""The consoles in a real, headless Chromium; skipped by name where there is none."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console_serving import PASSWORD, at, coordinator_app, site_app
from tests.console_story import Story, told

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH"),
]
PAGES = {
    "coordinator": ("/", "/runs", "/sites", "/releases", "/refusals"),
    "site": ("/", "/rounds", "/outbound", "/budget", "/releases", "/refusals"),
}


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> tuple[Story, Story]:
    return told(tmp_path_factory.mktemp("browser"), tiny_data)


@pytest.fixture(scope="module")
def addresses(stories: tuple[Story, Story]) -> Iterator[dict[str, str]]:
    live, done = stories
    with (
        at(coordinator_app(live.coordinator)) as coordinator,
        at(site_app(done.sites / "cork")) as site,
    ):
        yield {"coordinator": coordinator, "site": site}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def enter(context: Any, address: str) -> Any:
    page = context.new_page()
    page.goto(address + "/")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(address + "/")
    return page


def complaints(page: Any) -> list[str]:
    """What axe-core has against a page, by rule and element: WCAG 2.2 A and AA, best practice."""
    found = axe.Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
@pytest.mark.parametrize("role", ["coordinator", "site"])
def test_pages_fit_the_screen_and_raise_no_error(
    browser: Any, addresses: dict[str, str], role: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale="en"
    )
    page = enter(context, addresses[role])
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    for path in PAGES[role]:
        assert page.goto(addresses[role] + path).status == 200
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.locator("main h1").count() == 1
        assert page.locator("table:not(.u-legend):not(:has(caption))").count() == 0
    assert faults == []
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1100, "light")])
@pytest.mark.parametrize("role", ["coordinator", "site"])
def test_axe_finds_nothing_that_keeps_a_reader_out(
    browser: Any, addresses: dict[str, str], role: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale="en"
    )
    page = enter(context, addresses[role])
    for path in (*PAGES[role], "/login"):
        page.goto(addresses[role] + path)
        assert complaints(page) == [], path
    context.close()


def test_axe_would_find_a_picture_without_words_and_pale_ink(
    browser: Any, addresses: dict[str, str]
) -> None:
    context = browser.new_context()
    page = enter(context, addresses["site"])
    page.evaluate(
        """() => {
        document.querySelector("main").append(document.createElement("img"));
        document.querySelector("main h1").style.color = "#eee";
        }"""
    )
    assert {"image-alt", "color-contrast"} <= {found.split(":")[0] for found in complaints(page)}
    context.close()


def test_charts_are_drawn_again_and_the_page_follows_the_run(
    browser: Any, addresses: dict[str, str], stories: tuple[Story, Story]
) -> None:
    context = browser.new_context()
    page = enter(context, addresses["coordinator"])
    assert page.locator("figure.chart[data-drawn] canvas").count() == 3
    progress = stories[0].coordinator / "progress.json"
    before = progress.read_text()
    progress.write_text(before.replace('"masked"', '"reveal"'))
    now = playwright.expect(page.locator("#now"))
    now.to_contain_text("masks are lifted", timeout=15_000)
    progress.write_text(before)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert page.locator("figure.chart[data-drawn] canvas").count() == 3
    context.close()


def test_everything_is_there_without_scripts(browser: Any, addresses: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = enter(context, addresses["site"])
    assert page.locator("noscript meta[http-equiv=refresh]").count() in {0, 1}
    page.goto(addresses["site"] + "/outbound")
    assert page.locator("#messages tbody tr").count() > 5
    assert page.locator("canvas").count() == 0
    assert not page.locator("#live-switch").is_visible()
    context.close()


def test_the_keyboard_reaches_the_content_first(browser: Any, addresses: dict[str, str]) -> None:
    context = browser.new_context()
    page = enter(context, addresses["site"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    context.close()
