"""The federation's ε in other readings and by other accountants."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from typer.main import get_command

from recommons.common.audit import command
from recommons.common.audit.commands import audit
from recommons.common.audit.findings import Severity, Verdict
from recommons.common.audit.page import render_page
from recommons.common.audit.readings import OtherAccountants, other_accountants, readings_of
from recommons.common.audit.report import AuditReport
from recommons.common.audit.words import disagreement_sentence, guarantee_sentences, summary_lines
from recommons.common.privacy.accounting import epsilon
from recommons.common.privacy.events import Reading, event_from_json
from tests.common.audit.story import Story


@pytest.fixture(scope="module")
def report() -> AuditReport:
    """Five sites, of which four must take part and one may collude; one attempt came to nothing."""
    story = Story(sites=5)
    story.run(story.plan(survivors=4), aborted=[(0, "masked")])
    return story.audit()


def test_the_readings_are_those_of_the_accountant_that_plans(report: AuditReport) -> None:
    (attempts,) = report.spending.released.values()
    events = [event_from_json(event) for attempt in attempts for event in attempt]
    assert len(attempts) == 3
    for name, reading in (("all_honest", Reading.ALL_HONEST), ("own_share", Reading.OWN_SHARE)):
        expected = epsilon(events, report.spending.delta, reading)
        assert report.readings[name] == pytest.approx(expected, rel=1e-6)
    honest, own = report.readings["all_honest"], report.readings["own_share"]
    assert honest is not None
    assert own is not None
    assert report.spending.epsilon is not None
    assert honest < report.spending.epsilon < own


def test_two_runs_have_the_readings_of_both() -> None:
    story = Story()
    story.run()
    once = story.audit().readings["own_share"]
    story.run()
    twice = story.audit().readings["own_share"]
    assert once is not None
    assert twice is not None
    assert 1.3 * once < twice < 2 * once


def test_an_event_that_cannot_be_accounted_for_leaves_the_readings_unknown(
    report: AuditReport,
) -> None:
    (run,) = report.spending.released
    (attempt, *others) = report.spending.released[run]
    newer = [{**event, "version": 2} for event in attempt]
    spending = replace(report.spending, epsilon=None, released={run: (newer, *others)})
    assert readings_of(spending) == {"all_honest": None, "own_share": None}
    told = other_accountants(replace(spending, epsilon=1.0))
    assert told == OtherAccountants(failed="privacy/unknown-event")


def test_accountants_who_were_asked_in_vain_are_not_taken_for_unasked_ones(
    report: AuditReport,
) -> None:
    unbounded = replace(report.spending, epsilon=None)
    for spending in (unbounded, replace(report.spending, attempts=0)):
        others = other_accountants(spending)
        assert others.failed
        sentence = f"Other accountants could not be asked: {others.failed}."
        assert f"  {sentence}" in [line for line, _ in summary_lines(report, others)]
        page = render_page(report, ["recommons"], others)
        assert f"<p>{sentence}</p>" in page
        assert 'aria-label="ε by accountant' not in page
        told = report.to_json(others)["epsilon"]["federation"]["cross_checks"]
        assert told == {"epsilon": {}, "disagreements": [], "failed": others.failed}
    assert report.to_json()["epsilon"]["federation"]["cross_checks"] is None
    for unasked in (
        "\n".join(line for line, _ in summary_lines(report)),
        render_page(report, ["recommons"]),
    ):
        assert "could not be asked" not in unasked


def test_other_accountants_agree(report: AuditReport) -> None:
    others = other_accountants(report.spending)
    assert others.failed is None
    assert others.disagreements == ()
    assert set(others.epsilon) == {
        "recommons-planning",
        "zcdp",
        "dp-accounting-pld",
        "dp-accounting-rdp",
        "opacus-rdp",
        "opacus-prv",
    }
    found = report.spending.epsilon
    assert found is not None
    for exact in ("recommons-planning", "dp-accounting-pld", "opacus-prv"):
        assert others.epsilon[exact] == pytest.approx(found, rel=3e-3)
    text = "\n".join(line for line, _ in summary_lines(report, others))
    assert "disagree" not in text
    assert "by dp-accounting" in text


def test_a_headline_without_bound_is_contradicted_by_every_finite_figure(
    report: AuditReport,
) -> None:
    others = other_accountants(replace(report.spending, epsilon=math.inf))
    assert len(others.epsilon) == 6
    assert set(others.disagreements) == set(others.epsilon)


def test_a_wrong_figure_of_the_audits_own_is_contradicted_by_all_that_are_exact(
    report: AuditReport,
) -> None:
    assert report.spending.epsilon is not None
    wrong = replace(report.spending, epsilon=0.99 * report.spending.epsilon)
    others = other_accountants(wrong)
    assert set(others.disagreements) == {"recommons-planning", "dp-accounting-pld", "opacus-prv"}


def test_a_disagreement_is_shown_in_red_and_not_averaged_away(report: AuditReport) -> None:
    others = OtherAccountants(
        epsilon={"opacus-prv": 9.0, "zcdp": 4.0}, disagreements=("opacus-prv",)
    )
    page = render_page(report, ["recommons"], others)
    assert '<p class="wrong" role="alert">Accountants disagree with ε' in page
    assert page.count('<tr class="wrong">') == 1
    assert "by Opacus: disagrees" in page
    assert ".wrong, .wrong th" in page
    red = [line for line, style in summary_lines(report, others) if style.get("fg") == "red"]
    assert len(red) == 2
    assert disagreement_sentence(report, None) == ""
    assert "accountants" not in render_page(report, ["recommons"])


def test_figures_of_a_federation_that_broke_a_rule_are_not_told_as_true() -> None:
    story = Story()
    story.run()
    assert guarantee_sentences(story.audit())[0].startswith("Everything released is")
    partly = story.audit(["site-01"])
    assert guarantee_sentences(partly)[0].startswith("So far as these ledgers can be believed")


def test_a_figure_that_another_accountant_contradicts_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    story.run()
    story.leave(tmp_path / "ledgers")
    page = tmp_path / "audit.html"
    words = [str(tmp_path / "ledgers"), "--html", str(page)]

    def called(*more: str) -> tuple[int, str]:
        found = CliRunner().invoke(get_command(audit), [*words, *more], standalone_mode=False)
        assert found.exception is None
        return int(found.return_value or 0), found.output

    contradicted = OtherAccountants(epsilon={"opacus-prv": 9.0}, disagreements=("opacus-prv",))
    monkeypatch.setattr(command, "other_accountants", lambda _spending: contradicted)
    status, text = called()
    assert status == Verdict.UNVERIFIABLE.exit_status == 2
    assert text.startswith("UNVERIFIABLE")
    assert "audit/accountants-disagree  ε = " in text
    assert "Everything released" not in text
    assert "By a figure that other accountants contradict, everything released" in text
    shown = page.read_text("utf-8")
    assert "<h1>Unverifiable</h1>" in shown
    assert "--cross-check" in shown  # whoever does it again is to get the same verdict
    status, text = called("--json")
    (finding,) = [
        found for found in json.loads(text)["findings"] if found["severity"] != Severity.NOTE.value
    ]
    assert (status, json.loads(text)["verdict"]) == (2, "unverifiable")
    assert finding["code"] == "audit/accountants-disagree"
    assert "opacus-prv" in finding["message"]
    assert called("--no-cross-check")[0] == 0


def call(*words: str) -> Any:
    found = CliRunner().invoke(get_command(audit), [*words, "--json"], standalone_mode=False)
    assert found.exception is None
    return json.loads(found.output)["epsilon"]["federation"]


def test_the_command_asks_them_for_a_page_and_when_told_to(tmp_path: Path) -> None:
    story = Story()
    story.run()
    story.leave(tmp_path / "ledgers")
    folder, page = str(tmp_path / "ledgers"), str(tmp_path / "audit.html")
    plain = call(folder)
    assert plain["cross_checks"] is None
    assert set(plain["readings"]) == {"all_honest", "own_share"}
    assert plain["readings"]["own_share"]["epsilon"] > plain["epsilon"]
    told = call(folder, "--html", page)["cross_checks"]
    assert told["disagreements"] == []
    assert told["failed"] is None
    assert told == call(folder, "--cross-check")["cross_checks"]
    assert call(folder, "--html", page, "--no-cross-check")["cross_checks"] is None
    assert readings_of(story.audit().spending)["all_honest"] is not None
