"""How new epochs of the roster took effect at a site, checked again from its ledger alone."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from recommons.common.audit.findings import Verdict
from recommons.common.audit.report import AuditReport
from recommons.common.epochs import Epoch, approve
from recommons.common.policy import Policy, RosterPolicy
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster
from tests.common.audit.story import FEDERATION, Body, Story

ONE = "site-01"
MAJORITY = Policy(roster=RosterPolicy(new_epoch="by-majority"))
STRANGER = SigningIdentity(b"z" * 32)


def next_epoch(story: Story) -> Epoch:
    roster = Roster(federation=FEDERATION, epoch=2, sites=story.roster.sites)
    return Epoch.sign(roster, story.federation_key, story.coordinator.identity.public_key)


def body_of(story: Story, epoch: Epoch, accepted: str, **more: Any) -> Body:
    return {
        "roster": epoch.roster.hash.hex(),
        "epoch": epoch.roster.epoch,
        "document": json.loads(epoch.signed_roster.to_bytes()),
        "federation_key": story.federation_key.public_key.hex(),
        "coordinator_key": epoch.coordinator_key.hex(),
        "accepted": accepted,
        **more,
    }


def approvals(epoch: Epoch, story: Story, names: Sequence[str]) -> list[Body]:
    for name in names:
        epoch = approve(epoch, name, story.scribes[name].identity)
    held = sorted(epoch.approvals.items())
    return [{"site": site, "signature": given.hex()} for site, given in held]


def found(report: AuditReport, code: str = "audit/roster-approval") -> list[int | None]:
    return [f.line for f in report.findings if f.code == code]


def told(
    names: Sequence[str], *, policy: Policy = MAJORITY, accepted: str = "by-majority"
) -> AuditReport:
    """The first run's ledgers, and site-01's with a new epoch after it."""
    story = Story(policy=policy)
    story.run()
    epoch = next_epoch(story)
    given = {"approvals": approvals(epoch, story, names)} if names else {}
    story.scribes[ONE].write("roster-accepted", **body_of(story, epoch, accepted, **given))
    return story.audit()


LINE = 2 + 8 + 1
"""After roster, policy and a run of two rounds."""


def test_the_approvals_of_most_sites_are_verified_again() -> None:
    assert found(told(["site-00", "site-02", "site-03"])) == []


@pytest.mark.parametrize("names", [[], ["site-00"], ["site-00", "site-02"]])
def test_a_roster_that_too_few_approved_is_found(names: list[str]) -> None:
    report = told(names)
    assert found(report) == [LINE]
    assert report.verdict is Verdict.VIOLATION


def test_the_operators_word_needs_no_approvals() -> None:
    assert found(told([], accepted="by-hand")) == []
    assert found(told([], policy=Policy(), accepted="by-hand")) == []


def test_a_majority_does_not_count_where_the_policy_leaves_rosters_to_the_operator() -> None:
    assert found(told(["site-00", "site-02", "site-03"], policy=Policy())) == [LINE]


def test_a_site_joins_once() -> None:
    assert found(told([], accepted="joined")) == [LINE]


def test_approvals_of_another_epoch_by_other_keys_or_of_strangers_do_not_count() -> None:
    story = Story(policy=MAJORITY)
    story.run()
    epoch = next_epoch(story)
    sound = approvals(epoch, story, ["site-00", "site-02", "site-03"])
    other = Epoch.sign(epoch.roster, story.federation_key, STRANGER.public_key)
    elsewhere = approvals(other, story, ["site-03"])
    forged = approve(epoch, "site-03", STRANGER).approvals["site-03"].hex()
    unlisted = approve(epoch, "site-99", STRANGER).approvals["site-99"].hex()
    for third in (
        elsewhere[0],
        {"site": "site-03", "signature": forged},
        {"site": "site-99", "signature": unlisted},
    ):
        copy = Story(policy=MAJORITY)
        copy.run()
        body = body_of(copy, epoch, "by-majority", approvals=[*sound[:2], third])
        copy.scribes[ONE].write("roster-accepted", **body)
        assert found(copy.audit()) == [LINE], third["site"]


def test_the_first_line_of_a_new_ledger_is_judged_by_the_roster_before_it() -> None:
    """A site with a new key begins a new ledger, whose first roster a majority may have carried."""
    story = Story(policy=MAJORITY)
    story.run()
    epoch = next_epoch(story)
    for count, expected in ((3, []), (2, [1])):
        given = approvals(epoch, story, ["site-00", "site-02", "site-03"][:count])
        new = Story(policy=MAJORITY)
        one = new.scribes[ONE]
        one.lines, one.chain = [], type(one.chain).start(ONE)
        one.write("roster-accepted", **body_of(new, epoch, "by-majority", approvals=given))
        assert found(new.audit()) == expected


def test_an_operator_who_took_a_check_away_is_named() -> None:
    story = Story()
    story.run()
    story.scribes[ONE].write("head-forgotten", writer="site-02", seq=4, head="ab" * 32)
    report = story.audit()
    assert found(report, "audit/head-forgotten") == [LINE]
    assert [f.severity.value for f in report.findings if f.line == LINE] == [
        "unverifiable",
        "note",
    ]
