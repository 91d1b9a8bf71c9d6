"""Each rule, broken by a party that signs what it writes: the code, the ledger and the line."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from recommons.common.audit.findings import Severity, Verdict
from recommons.common.audit.report import AuditReport
from recommons.common.heads import COORDINATOR
from recommons.common.policy import BudgetPolicy, CohortPolicy, PlansPolicy, Policy
from tests.common.audit.story import Body, Edit, Entries, Story

ONE = "site-01"


def instead(
    writer: str, kind: str, change: Callable[[Body], Entries], *, nth: int = 0
) -> tuple[Edit, list[int]]:
    """An edit of the nth entry of a kind by a writer."""
    seen = [0]

    def edit(who: str, what: str, body: Body) -> Entries | None:
        if (who, what) != (writer, kind):
            return None
        seen[0] += 1
        return change(copy.deepcopy(body)) if seen[0] == nth + 1 else None

    return edit, seen


def setting(kind: str, **changes: Any) -> Callable[[Body], Entries]:
    return lambda body: [(kind, {**body, **changes})]


def dropped(_body: Body) -> Entries:
    return []


def twice(kind: str) -> Callable[[Body], Entries]:
    return lambda body: [(kind, body), (kind, body)]


def cheaper(kind: str) -> Callable[[Body], Entries]:
    """The same releases with less noise."""

    def change(body: Body) -> Entries:
        body["events"][0]["noise_stddev"] /= 2
        return [(kind, body)]

    return change


def other_signature(body: Body) -> Entries:
    body["signatures"][0]["signature"] = body["signatures"][1]["signature"]
    return [("certificate", body)]


def too_few_signatures(body: Body) -> Entries:
    body["signatures"] = body["signatures"][:2]
    return [("certificate", body)]


def other_vector(body: Body) -> Entries:
    body["masked"][1]["masked"] = "77" * 32
    return [("certificate", body)]


def other_head(body: Body) -> Entries:
    body["heads"][1]["signature"] = "00" * 64
    return [("heads", body)]


def codes(report: AuditReport, severity: Severity = Severity.VIOLATION) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity is severity}


TABLE = [
    # who, which entry (#1: the second such), what is written instead,
    # code, where it is found, kind of that line (+: the second such)
    (ONE, "committed#1", dropped, "audit/not-reserved", ONE, "released"),
    (ONE, "committed#1", dropped, "audit/unadmitted", COORDINATOR, "certificate"),
    (ONE, "committed#1", dropped, "audit/head-place", COORDINATOR, "heads"),
    (ONE, "reserved", dropped, "audit/not-reserved", ONE, "committed"),
    (ONE, "reserved", dropped, "audit/unadmitted", COORDINATOR, "advertisements"),
    (ONE, "committed", twice("committed"), "audit/context-used", ONE, "committed+"),
    (ONE, "reserved", twice("reserved"), "audit/context-used", ONE, "reserved+"),
    (ONE, "reserved", cheaper("reserved"), "audit/events", ONE, "reserved"),
    (ONE, "committed", cheaper("committed"), "audit/events", ONE, "committed"),
    (ONE, "released", cheaper("released"), "audit/events", ONE, "released"),
    (
        ONE,
        "released",
        setting("released", masked="55" * 32),
        "audit/vector-differs",
        ONE,
        "released",
    ),
    (
        ONE,
        "released",
        setting("released", certificate="55" * 32),
        "audit/survivors-differ",
        ONE,
        "released",
    ),
    (
        ONE,
        "released",
        setting("released", survivors=["site-00", ONE]),
        "audit/survivors",
        ONE,
        "released",
    ),
    (ONE, "plan-accepted", dropped, "audit/not-joined", ONE, "reserved"),
    (ONE, "plan-accepted", twice("plan-accepted"), "audit/run-repeated", ONE, "plan-accepted+"),
    (
        ONE,
        "plan-accepted",
        setting("plan-accepted", policy="66" * 32),
        "audit/policy",
        ONE,
        "plan-accepted",
    ),
    (ONE, "reserved", setting("reserved", plan="66" * 32), "audit/plan-differs", ONE, "reserved"),
    (ONE, "reserved", setting("reserved", context="66" * 32), "audit/context", ONE, "reserved"),
    (ONE, "run-ended", twice("run-ended"), "audit/after-end", ONE, "run-ended+"),
    (
        ONE,
        "roster-accepted",
        setting("roster-accepted", epoch=7),
        "audit/roster-epoch",
        ONE,
        "roster-accepted",
    ),
    (ONE, "policy-changed", dropped, "audit/no-policy", ONE, "plan-accepted"),
    (
        ONE,
        "committed",
        lambda b: [("committed", b), ("sum", {**b, "sum": "00" * 32})],
        "audit/misplaced",
        ONE,
        "sum",
    ),
    (COORDINATOR, "certificate", other_signature, "audit/quorum", COORDINATOR, "certificate"),
    (COORDINATOR, "certificate", too_few_signatures, "audit/quorum", COORDINATOR, "certificate"),
    (COORDINATOR, "certificate", other_vector, "audit/vector-differs", ONE, "released"),
    (
        COORDINATOR,
        "certificate",
        setting("certificate", full="88" * 32),
        "audit/certificate",
        COORDINATOR,
        "certificate",
    ),
    (COORDINATOR, "certificate", dropped, "audit/unrecorded", ONE, "released"),
    (COORDINATOR, "heads", other_head, "audit/head-signature", COORDINATOR, "heads"),
    (COORDINATOR, "sum", cheaper("sum"), "audit/events", COORDINATOR, "sum"),
    (COORDINATOR, "sum", dropped, "audit/events", COORDINATOR, "model-released"),
    (COORDINATOR, "sum", twice("sum"), "audit/after-end", COORDINATOR, "sum+"),
    (COORDINATOR, "round-opened", dropped, "audit/unrecorded", ONE, "reserved"),
    (COORDINATOR, "plan", dropped, "audit/unrecorded", ONE, "plan-accepted"),
    (
        COORDINATOR,
        "model-released",
        setting("model-released", epsilon=3.9),
        "audit/release-claim",
        COORDINATOR,
        "model-released",
    ),
    (
        COORDINATOR,
        "model-released",
        setting("model-released", delta=1e-5),
        "audit/release-claim",
        COORDINATOR,
        "model-released",
    ),
    (
        COORDINATOR,
        "round-aborted",
        setting("round-aborted", events=[]),
        "audit/uncounted-attempt",
        COORDINATOR,
        "round-aborted",
    ),
]


@pytest.mark.parametrize(
    ("writer", "kind", "change", "code", "ledger", "at"),
    TABLE,
    ids=[f"{k}-{row[3]}-{row[0]}-{row[1]}" for k, row in enumerate(TABLE)],
)
def test_an_entry_that_breaks_a_rule_is_found_at_its_line(
    writer: str, kind: str, change: Callable[[Body], Entries], code: str, ledger: str, at: str
) -> None:
    kind, _, nth = kind.partition("#")
    edit, seen = instead(writer, kind, change, nth=int(nth or 0))
    story = Story(edit=edit)
    story.run(aborted=[(0, "masked")])
    assert seen[0], "the edit was never used"
    report = story.audit()
    assert report.verdict in (Verdict.VIOLATION, Verdict.UNVERIFIABLE)
    name = at.removesuffix("+")
    lines = [
        n
        for n, line in enumerate(story.scribes[ledger].lines, 1)
        if f'"kind":"{name}"'.encode() in line
    ]
    expected = lines[1] if at.endswith("+") else None
    found = [f for f in report.findings if f.code == code and f.ledger == f"{ledger}.ledger.jsonl"]
    assert found, [(f.code, f.ledger, f.line) for f in report.findings]
    assert found[0].line in lines  # the first of them, where others follow from it
    if expected is not None:
        assert expected in {f.line for f in found}


def test_a_federation_that_kept_every_rule_passes_with_its_true_figures() -> None:
    story = Story()
    story.run(aborted=[(0, "masked"), (1, "advertise")], plan=story.plan(spare=2))
    report = story.audit()
    assert report.verdict is Verdict.PASSED
    assert codes(report) == set()
    (run,) = report.spending.runs
    assert run.attempts == 3  # the one that ended before vectors were asked for is free
    assert run.epsilon is not None
    assert run.epsilon < run.reserved <= 4.0 * (1 + 1e-9)


@pytest.mark.parametrize("step", ["masked", "reveal"])
def test_an_attempt_that_came_to_nothing_after_vectors_were_asked_for_is_counted(step: str) -> None:
    with_abort, without = Story(), Story()
    with_abort.run(aborted=[(0, step)])
    without.run()
    spent = with_abort.audit().spending.epsilon
    assert spent is not None
    assert spent > 1.2 * (without.audit().spending.epsilon or 0)
    claims = Story(
        edit=instead(COORDINATOR, "model-released", setting("model-released", epsilon=3.0))[0]
    )
    claims.run(aborted=[(0, step)])
    assert "audit/release-claim" in codes(claims.audit())


def test_a_plan_that_claims_less_than_it_costs_is_found_at_every_party_that_took_it() -> None:
    story = Story()
    honest = story.plan()
    privacy = honest.privacy.model_copy(update={"epsilon": 3.5})
    story.run(honest.model_copy(update={"privacy": privacy}))
    report = story.audit()
    places = {f.ledger for f in report.findings if f.code == "audit/plan-claim"}
    assert places == {f"{name}.ledger.jsonl" for name in story.scribes}


def test_attempts_beyond_the_plans_spare_ones_are_found_on_both_sides() -> None:
    story = Story()
    story.run(aborted=[(0, "masked"), (1, "masked")])
    report = story.audit()
    places = {f.ledger for f in report.findings if f.code == "audit/attempts"}
    assert places == {f"{name}.ledger.jsonl" for name in story.scribes}
    assert "audit/spent-over-plan" in codes(report)


def test_a_round_against_the_policy_of_its_time_is_found() -> None:
    story = Story()
    run = story.run(finish=False)
    story.set_policy(ONE, Policy(plans=PlansPolicy(models=("ease",))))
    run.used = {0: 1, 1: 0}
    run.attempt(1)
    run.finish()
    found = [f for f in story.audit().findings if f.code == "audit/policy"]
    assert found
    assert all(f.ledger == f"{ONE}.ledger.jsonl" and "policy/model" in f.message for f in found)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (Policy(plans=PlansPolicy(models=("ease",))), "policy/model"),
        (Policy(budget=BudgetPolicy(epsilon=2.0)), "policy/epsilon"),
        (Policy(budget=BudgetPolicy(delta=1e-7)), "policy/delta"),
        (Policy(cohort=CohortPolicy(least_survivors=5)), "policy/survivors"),
        (Policy(cohort=CohortPolicy(least_colluding=2)), "policy/colluding"),
        (Policy(cohort=CohortPolicy(least_own_users=200)), "policy/own-users"),
        (Policy(plans=PlansPolicy(most_rounds=1)), "policy/rounds"),
        (Policy(plans=PlansPolicy(largest_upload_bytes=10)), "policy/upload"),
        (Policy(plans=PlansPolicy(hashes=("ab" * 32,))), "policy/plan-hash"),
    ],
)
def test_a_plan_accepted_against_the_policy_is_found(policy: Policy, code: str) -> None:
    story = Story(policy=policy)
    story.run()
    messages = [f.message for f in story.audit().findings if f.code == "audit/policy"]
    assert messages
    assert all(code in message for message in messages)


def test_survivors_without_enough_verified_peers_are_found() -> None:
    story = Story()
    lonely = Policy.from_json(
        '{"peers":{"least_verified_survivors":1,"verified":{"site-02":"' + "0" * 40 + '"}}}'
    )
    story.set_policy(ONE, lonely)
    story.run()
    found = codes(story.audit())
    assert {"audit/policy", "audit/verified-peers"} <= found


# What a later version wrote.


def of_a_later_version(kind: str, body: Body) -> Entries:
    events = [{**event, "version": 2} for event in body["events"]]
    return [(kind, {**body, "events": events})]


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        (of_a_later_version, "audit/unknown-event", "events"),
        (lambda _, body: [("audited", body)], "audit/unknown-entry", "audited"),
    ],
)
def test_what_this_version_does_not_know_is_refused_and_no_violation(
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[str, Body], Entries],
    code: str,
    what: str,
) -> None:
    """Nothing after such a line is used: nobody knows what it changes."""

    def edit(who: str, kind: str, body: Body) -> Entries | None:
        return change(kind, body) if (who, kind) == (ONE, "committed") else None

    story = Story(edit=edit)
    with monkeypatch.context() as later:
        later.setattr("recommons.common.privacy.ledger.entry_fault", lambda *_: None)
        later.setattr("recommons.common.privacy.ledger.parse_line", lambda *_: {})
        story.run()
    report = story.audit()
    (found,) = [f for f in report.findings if f.code == code]
    lines = story.scribes[ONE].lines
    first = next(n for n, line in enumerate(lines, 1) if what.encode() in line and n > 4)
    assert (found.severity, found.ledger) == (Severity.UNVERIFIABLE, f"{ONE}.ledger.jsonl")
    assert found.line == first
    assert report.verdict is Verdict.UNVERIFIABLE
    (facts,) = [ledger for ledger in report.ledgers if ledger.writer == ONE]
    assert facts.entries == first - 1


# Budgets.


def yearly(**budget: Any) -> Policy:
    return Policy(budget=BudgetPolicy(epsilon=6.0, delta=1e-6, **budget))


def test_plans_within_the_cap_pass_and_their_sum_is_reported() -> None:
    story = Story(policy=Policy(budget=BudgetPolicy(epsilon=8.0, delta=1e-6)))
    story.run()
    story.wait(days=30)
    story.run()
    report = story.audit()
    assert report.verdict is Verdict.PASSED
    assert 5.5 < report.windows[ONE].epsilon < 6.5  # two runs of 4, composed


def test_a_window_forgets_what_is_older() -> None:
    story = Story(policy=yearly(window_days=30, when_exhausted="refuse"))
    story.run()
    story.wait(days=40)
    story.run()
    report = story.audit()
    assert report.verdict is Verdict.PASSED
    assert report.windows[ONE].epsilon == pytest.approx(4.0, rel=1e-3)


@pytest.mark.parametrize(("hours", "found"), [(-1, {"audit/budget"}), (1, set[str]())])
def test_a_charge_counts_for_the_window_and_the_life_of_an_attempt(
    hours: int, found: set[str]
) -> None:
    """A sum may be opened so long after the site's vector left: both are in one window then."""
    caps = BudgetPolicy(epsilon=5.0, delta=1e-6, window_days=30, when_exhausted="refuse")
    story = Story(policy=Policy(budget=caps))
    story.run()
    story.wait(days=30 + 7, hours=hours)
    story.run()
    assert codes(story.audit()) == found


def test_a_site_that_should_have_refused_the_second_plan_of_a_window_is_found() -> None:
    story = Story(policy=yearly(when_exhausted="refuse"))
    for _ in range(3):
        story.run()
    found = [f for f in story.audit().findings if f.code == "audit/budget"]
    assert {f.ledger for f in found} == {f"{name}.ledger.jsonl" for name in story.names}


def test_a_site_that_leaves_nobody_out_is_found_and_one_that_says_so_is_not() -> None:
    silent = Story(policy=yearly())
    for _ in range(3):
        silent.run()
    assert codes(silent.audit()) == {"audit/budget-unnoticed"}

    def says_so(who: str, kind: str, body: Body) -> Entries | None:
        if kind != "plan-accepted" or body["run"] == f"{1:032x}":
            return None
        left_out = {"run": body["run"], "window_days": 365, "epsilon": 6.0, "delta": 1e-6}
        out = body["run"] in (f"{2:032x}", f"{3:032x}")
        return [(kind, body), ("budget-exhausted", left_out)] if out else None

    honest = Story(policy=yearly(), edit=says_so)
    for _ in range(3):
        honest.run()
    report = honest.audit()
    assert codes(report) == set()
    assert report.windows[ONE].epsilon <= 6.0 * (1 + 1e-9)


# Parties and keys.


def test_any_subset_is_told_apart_from_the_whole() -> None:
    story = Story()
    story.run()
    for only, missing in (
        ([ONE], {"audit/missing-ledger", "audit/unanchored"}),
        ([COORDINATOR], {"audit/no-key"}),
        (["site-00", ONE], {"audit/missing-ledger"}),
        ([COORDINATOR, "site-00", ONE], {"audit/missing-ledger"}),
    ):
        report = story.audit(only)
        assert report.verdict is Verdict.UNVERIFIABLE
        assert codes(report, Severity.UNVERIFIABLE) == missing
        assert codes(report) == set()


def test_a_pinned_roster_vouches_for_the_keys_and_another_one_contradicts_them() -> None:
    story = Story()
    story.run()
    pinned = story.audit(trust=story.signed.to_bytes())
    assert pinned.verdict is Verdict.PASSED
    assert pinned.pinned
    assert not pinned.findings
    assert story.audit(trust=story.roster.to_bytes()).verdict is Verdict.PASSED

    other = Story(sites=3)
    other.federation_key = type(other.federation_key)(b"o" * 32)
    forged = other.roster.sign(other.federation_key)
    report = story.audit(trust=forged.to_bytes())
    assert report.verdict is Verdict.VIOLATION
    assert "audit/other-federation" in codes(report)


def test_a_last_line_that_nobody_else_holds_leaves_the_ledger_unverifiable() -> None:
    story = Story()
    story.run()
    assert story.audit().verdict is Verdict.PASSED
    story.scribes[ONE].write("user-forgotten")
    report = story.audit()
    assert report.verdict is Verdict.UNVERIFIABLE
    (found,) = [f for f in report.findings if f.code == "audit/unanchored"]
    assert (found.ledger, found.line) == (f"{ONE}.ledger.jsonl", len(story.scribes[ONE].lines))


def test_a_site_that_says_it_lost_lines_leaves_its_spending_unverifiable() -> None:
    story = Story()
    story.run()
    story.scribes[ONE].write("old-backup", seq=99, head="ab" * 32)
    assert "audit/old-backup" in codes(story.audit(), Severity.UNVERIFIABLE)
    story.run()
    assert "audit/halted" in codes(story.audit())
