"""The whole path as the docs print it: every command of the page, in real processes on loopback."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from recommons.common.commandline import main
from tests.namespaces import network

PAGE = Path(__file__).parents[2] / "docs" / "first-federation.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## (.*)$", re.MULTILINE)
SHORT = ("Something to train on", "Found", "Invite", "Apply", "Approve", "Stop")
BINARIES = Path(sys.executable).parent
_SECONDS = 900


def script(only: Sequence[str] = ()) -> str:
    """The page's commands in their order; the first that fails ends it.

    Args:
        only: Headings of the sections to take; all of them by default.
    """
    parts = SECTION.split(PAGE.read_text())
    titles = [title.split(" (")[0] for title in parts[1::2]]
    found = {title: BLOCK.findall(text) for title, text in zip(titles, parts[2::2], strict=True)}
    assert set(only) <= set(found)
    taken = [block for title in (only or found) for block in found[title]]
    return "set -euo pipefail\n" + "\n".join(taken)


def run(text: str, folder: Path, within: Sequence[str] = ()) -> tuple[int, str]:
    """Status and output of a script; whatever it left running is ended."""
    (folder / "page.sh").write_text(text)
    with (folder / "page.log").open("wb") as log:
        shell = subprocess.Popen(
            [*within, "bash", "page.sh"],
            cwd=folder,
            env={**os.environ, "PATH": f"{BINARIES}:{os.environ['PATH']}", "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = shell.wait(_SECONDS)
        finally:
            _end_group(shell.pid)
    return status, (folder / "page.log").read_text()


def _end_group(group: int) -> None:
    """Those that were started here, and nobody else: they are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            os.killpg(group, 0)  # raises when nobody of them is left
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)


def test_the_page_holds_every_step_of_the_path() -> None:
    page = script()
    steps = (
        "federation init",
        "federation invite",
        "coordinator start",
        "site join",
        "federation approve",
        "site check",
        "site start",
        "coordinator run",
        "coordinator status",
        "site model list",
        "recommend plum",
        "audit exported",
    )
    places = [page.index(f"recommons {step}") for step in steps if step != "coordinator start"]
    assert places == sorted(places)
    assert "recommons coordinator start" in page


def test_the_page_s_commands_found_a_federation_and_approve_its_sites(tmp_path: Path) -> None:
    """The first half, for every machine that runs the tests; the whole takes minutes."""
    with network(["host"]) as hosts:
        status, said = run(script(SHORT), tmp_path, hosts.within("host"))
    assert status == 0, said
    federation = json.loads((tmp_path / "fruit" / "federation.json").read_bytes())
    assert [entry["site"] for entry in federation["signed_roster"]["roster"]["sites"]] == [
        "apple",
        "cherry",
        "plum",
    ]
    for site in ("apple", "cherry", "plum"):
        assert (tmp_path / site / "identity.key").exists()


@pytest.mark.slow
def test_the_commands_of_the_page_lead_from_nothing_to_recommendations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A host of its own: the page names the usual ports.
    with network(["host"]) as hosts:
        status, said = run(script(), tmp_path, hosts.within("host"))
    assert status == 0, said
    assert re.search(r"run 001: finished; release 001", said), said
    assert re.search(r"^5 +i\d\d ", said, re.MULTILINE), said  # the fifth recommendation
    exported = [str(tmp_path / "exported"), "--trust", str(tmp_path / "plum" / "federation.json")]
    capsys.readouterr()
    assert main(["audit", *exported, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "passed"


@pytest.mark.slow
def test_a_step_that_is_left_out_is_missed(tmp_path: Path) -> None:
    """Without the telephone nobody takes part: the page does not pass by itself."""
    text = re.sub(r"^ *recommons site peers verify .*$", "    true", script(), flags=re.MULTILINE)
    with network(["host"]) as hosts:
        status, said = run(text, tmp_path, hosts.within("host"))
    assert status != 0
    assert "run/refused" in said, said
