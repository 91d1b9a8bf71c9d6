"""The command: exit status, JSON, the page, the pinned roster."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from typer.main import get_command

from recommons.common.audit.commands import audit
from recommons.common.audit.curve import curve_svg
from recommons.common.audit.findings import SEVERITIES, Severity
from recommons.common.audit.page import render_page
from recommons.common.codes import REMEDIES
from recommons.common.errors import InvalidInput
from tests.common.audit.story import Story


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("told")
    story = Story()
    story.run(aborted=[(0, "masked")])
    story.leave(made)
    (made / "trust.json").write_bytes(story.signed.to_bytes())
    return made


def call(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(get_command(audit), list(words), standalone_mode=False)
    if found.exception is not None:
        raise found.exception
    return int(found.return_value or 0), found.output


def test_exit_status_and_words_follow_the_verdict(folder: Path, tmp_path: Path) -> None:
    assert call(str(folder))[0] == 0
    assert "PASSED" in call(str(folder))[1]
    status, text = call(str(folder / "site-01.ledger.jsonl"))
    assert (status, "UNVERIFIABLE" in text) == (2, True)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes((folder / "site-01.ledger.jsonl").read_bytes().replace(b"2026", b"2027", 1))
    status, text = call(str(broken), str(folder / "coordinator.ledger.jsonl"))
    assert (status, "ledger/changed" in text) == (1, True)


def test_of_no_ledger_nothing_is_said_to_have_been_checked(tmp_path: Path) -> None:
    status, text = call(str(tmp_path))
    assert status == 2
    assert "0 ledgers, 0 entries, 0 receipts." in text
    assert "checked" not in text


def test_json_holds_verdict_findings_and_epsilon_of_every_site_and_the_federation(
    folder: Path,
) -> None:
    status, text = call(str(folder), "--json", "--trust", str(folder / "trust.json"))
    report = json.loads(text)
    assert (status, report["verdict"], report["findings"]) == (0, "passed", [])
    assert set(report["epsilon"]["sites"]) == {f"site-0{k}" for k in range(4)}
    assert report["epsilon"]["federation"]["epsilon"] == pytest.approx(4.0, rel=1e-3)
    assert report["pinned"] is True
    status, text = call(str(folder / "site-01.ledger.jsonl"), "--json")
    first = json.loads(text)["findings"][0]
    assert set(first) == {"code", "severity", "ledger", "line", "message"}
    for words, signatures in (
        ([], "each-line"),
        (["--every-signature"], "each-line"),
        (["--last-signatures"], "last-line"),
    ):
        report = json.loads(call(str(folder), "--json", *words)[1])
        assert (report["verdict"], report["signatures"]) == ("passed", signatures)


def test_a_path_that_is_not_there_and_a_pin_that_is_none_are_the_callers_mistakes(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "pin.json").write_text("{}")
    for words in (["nowhere"], [str(folder), "--trust", str(tmp_path / "pin.json")]):
        with pytest.raises(InvalidInput):
            call(*words)


def test_empty_and_foreign_files_that_were_named_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "other.txt").write_text("a letter")
    status, text = call(str(tmp_path / "empty.jsonl"), str(tmp_path / "other.txt"), "--json")
    codes = {finding["code"] for finding in json.loads(text)["findings"]}
    assert status == 2
    assert {"audit/empty", "audit/not-a-ledger", "audit/no-ledgers"} <= codes


def test_the_page_carries_everything_and_loads_nothing(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert call(str(folder), "--html", str(page))[0] == 0
    text = page.read_text("utf-8")
    for words in (
        "Passed",
        "for one user added or removed",
        "What each site spent",
        "Findings",
        "What ledgers cannot show",
        "How to check again",
        "<svg",
        "@media print",
    ):
        assert words in text
    assert not re.search(r"<(script|link|img|iframe)|https?://|url\(", text)


def test_names_of_files_cannot_write_into_the_page() -> None:
    story = Story()
    story.run(finish=False)
    report = story.audit(["site-01"])
    text = render_page(report, ["recommons", "audit", "<script>alert(1)</script>"])
    assert "<script>" not in text


def test_a_curve_is_drawn_only_of_what_is_bounded() -> None:
    assert curve_svg([]) == ""
    assert curve_svg([(1.0, float("inf"))]) == ""
    assert "ε = 2" in curve_svg([(0.0, 1.0), (90.0, 2.0)], target=3.0)


def test_every_finding_has_a_code_a_severity_and_a_remedy() -> None:
    source = "".join(
        path.read_text("utf-8") for path in Path(__file__).parents[3].glob("common/audit/*.py")
    )
    used = set(re.findall(r'"(audit/[a-z-]+)"', source)) - {"audit/trust", "audit/path"}
    assert used <= set(SEVERITIES)
    known = {code for code in REMEDIES if code.startswith("audit/")}
    assert known - used - {"audit/trust", "audit/path"} == set()
    assert {SEVERITIES[c] for c in ("audit/unanchored", "audit/clock", "ledger/fork")} == set(
        Severity
    )
