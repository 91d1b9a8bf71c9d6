"""Ways round the audit that were tried, and honest histories that it once took for dishonest."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from recommons.common.audit import records
from recommons.common.audit.audit import audit
from recommons.common.audit.findings import (
    _NOTES,
    _UNVERIFIABLE,
    SEVERITIES,
    Findings,
    Severity,
    Verdict,
)
from recommons.common.audit.report import AuditReport
from recommons.common.audit.signatures import LineBatch, first_unsigned, in_batches
from recommons.common.audit.sources import Source
from recommons.common.audit.words import summary_lines
from recommons.common.errors import LedgerError
from recommons.common.federation import Federation
from recommons.common.hashing import canonical_json, digest
from recommons.common.heads import COORDINATOR
from recommons.common.policy import BudgetPolicy, Policy
from recommons.common.privacy.ledger import ENTRY_DOMAIN, Chain
from recommons.common.privacy.ledger_line import line_hash, parse_line, parse_strictly
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.messages import Certificate
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.secagg.statements import survived
from recommons.common.units import epsilon_text, small_text
from tests.common.audit.story import FEDERATION, Body, Edit, Entries, Run, Scribe, Story

ONE = "site-01"
STRANGER = SigningIdentity(b"z" * 32)


def codes(report: AuditReport, severity: Severity = Severity.VIOLATION) -> set[str]:
    return {f.code for f in report.findings if f.severity is severity}


def lines_of(report: AuditReport, code: str) -> list[tuple[str | None, int | None]]:
    return [(f.ledger, f.line) for f in report.findings if f.code == code]


def budget(epsilon: float, **rules: Any) -> Policy:
    return Policy(budget=BudgetPolicy(epsilon=epsilon, delta=1e-6, **rules))


def federation_of(story: Story) -> bytes:
    return Federation(
        signed_roster=story.signed,
        federation_key=story.federation_key.public_key,
        coordinator_key=story.coordinator.identity.public_key,
    ).to_bytes()


def plain(policy: Policy) -> Body:
    return {"policy": policy.hash.hex(), "document": policy.document()}


# Records.


class UnderAStranger(Story):
    """site-01 pins a rogue coordinator key in a line that it can disown."""

    def _pin(self, name: str) -> None:
        scribe = self.scribes[name]
        honest = scribe.identity
        scribe.identity = STRANGER if name == ONE else honest
        super()._pin(name)
        scribe.identity = honest


def rogue_key(who: str, kind: str, body: Body) -> Entries | None:
    rogue = {**body, "coordinator_key": STRANGER.public_key.hex()}
    return [(kind, rogue)] if (who, kind) == (ONE, "roster-accepted") else None


@pytest.mark.parametrize("pinned", [False, True])
def test_a_first_line_that_the_writer_did_not_sign_is_found(pinned: bool) -> None:
    story = UnderAStranger(edit=rogue_key)
    story.run()
    report = story.audit(trust=federation_of(story) if pinned else None)
    assert lines_of(report, "ledger/foreign-signature") == [(f"{ONE}.ledger.jsonl", 1)]


def test_a_line_in_the_middle_that_the_writer_did_not_sign_is_found() -> None:
    story = Story()
    scribe = story.scribes[ONE]
    honest, scribe.identity = scribe.identity, STRANGER
    scribe.write("user-forgotten")
    scribe.identity = honest
    story.run()
    report = story.audit()
    assert lines_of(report, "ledger/foreign-signature") == [(f"{ONE}.ledger.jsonl", 3)]


def test_every_line_goes_to_the_workers_before_any_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = Story()
    story.run()
    told: list[int | str] = []

    def reading(line: bytes, number: int) -> Any:
        told.append("parsed")
        return parse_line(line, number)

    def mapper(function: Callable[[Any], Any], batches: Iterable[Any]) -> Iterable[Any]:
        listed = list(batches)
        if function is first_unsigned:
            told.append(sum(len(batch.lines) for batch in listed))
        return map(function, listed)

    monkeypatch.setattr(records, "parse_line", reading)
    assert story.audit(mapper=mapper).verdict is Verdict.PASSED
    lines = sum(len(scribe.lines) for scribe in story.scribes.values())
    assert told == [lines] + ["parsed"] * lines


def test_a_batch_names_its_first_line_that_is_not_signed() -> None:
    story = Story()
    story.run()
    scribe = story.scribes[ONE]
    (batch,) = in_batches(scribe.lines, scribe.identity.public_key)
    assert first_unsigned(batch) is None
    altered = batch.lines[2].replace(b'"time":"2', b'"time":"1')
    assert first_unsigned(replace(batch, lines=(*batch.lines[:2], altered))) == 2
    assert first_unsigned(LineBatch(STRANGER.public_key, batch.lines)) == 0
    assert first_unsigned(replace(batch, lines=(b"{}",))) == 0
    assert [len(b.lines) for b in in_batches([b""] * 1001, b"")] == [500, 500, 1]


def append_raw(scribe: Scribe, kind: str, body: Body) -> None:
    """A line that the ledger's own writer would refuse, signed all the same."""
    envelope = {
        "version": 1,
        "writer": scribe.writer,
        "seq": scribe.chain.length,
        "previous": scribe.chain.link.hex(),
        "time": scribe.story.time,
        "kind": kind,
        "body": body,
    }

    def encoded(value: Body) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    signature = scribe.identity.sign(ENTRY_DOMAIN, encoded(envelope)).hex()
    line = encoded({**envelope, "signature": signature})
    scribe.lines.append(line)
    scribe.chain = replace(scribe.chain, length=scribe.chain.length + 1, link=line_hash(line))


def rogue_roster(story: Story, epoch: int = 2) -> Body:
    roster = Roster(federation=FEDERATION, epoch=epoch, sites=story.roster.sites)
    return {
        "roster": roster.hash.hex(),
        "epoch": epoch,
        "document": json.loads(roster.sign(STRANGER).to_bytes()),
        "federation_key": STRANGER.public_key.hex(),
        "coordinator_key": story.coordinator.identity.public_key.hex(),
        "accepted": "by-hand",
    }


def test_a_roster_cannot_hide_behind_a_number_that_json_does_not_carry() -> None:
    story = Story()
    body = rogue_roster(story)
    body["document"]["x"] = 2**53 + 1
    append_raw(story.scribes[ONE], "roster-accepted", body)
    line = story.scribes[ONE].lines[-1]
    for read in (parse_line, parse_strictly):
        with pytest.raises(LedgerError, match="canonical"):
            read(line, 3)
    story.run()
    report = story.audit()
    assert lines_of(report, "ledger/not-canonical") == [(f"{ONE}.ledger.jsonl", 3)]


def test_a_roster_that_the_federation_never_signed_is_found_where_it_is_pinned() -> None:
    story = Story()
    body = rogue_roster(story) | {"federation_key": story.federation_key.public_key.hex()}
    story.scribes[ONE].write("roster-accepted", **body)
    story.run()
    report = story.audit()
    assert lines_of(report, "audit/roster") == [(f"{ONE}.ledger.jsonl", 3)]
    assert "audit/roster-signature" in codes(report)


# Keys.


class MadeUp(Story):
    """Nobody of the true federation: its public roster signed anew, and a second one with it."""

    def __init__(self, real: Story) -> None:
        super().__init__()
        self.federation_key = SigningIdentity(b"F" * 32)
        keys = {name: SigningIdentity(digest("test", name.encode())) for name in self.scribes}
        self.roster = Roster(
            federation=FEDERATION,
            epoch=2,
            sites=tuple(
                RosterSite(site=name, name=name, public_key=keys[name].public_key)
                for name in self.names
            ),
        )
        self.signed = self.roster.sign(self.federation_key)
        self.scribes = {name: Scribe(name, key, self) for name, key in keys.items()}
        self.coordinator = self.scribes[COORDINATOR]
        stolen = self._roster_body() | {
            "roster": real.roster.hash.hex(),
            "epoch": 1,
            "document": json.loads(real.roster.sign(self.federation_key).to_bytes()),
        }
        self.coordinator.write("roster", **stolen)
        for name in self.names:
            self._pin(name)
            self.set_policy(name, Policy())
        self.coordinator.write("roster", **self._roster_body())


def test_a_bare_roster_vouches_for_itself_and_for_no_other() -> None:
    real = Story()
    made_up = MadeUp(real)
    made_up.run()
    report = made_up.audit(trust=real.roster.to_bytes())
    assert not report.pinned
    assert "audit/keys-not-pinned" in codes(report, Severity.NOTE)
    assert "audit/other-federation" in codes(made_up.audit(trust=real.signed.to_bytes()))
    real.run()
    assert real.audit(trust=real.roster.to_bytes()).pinned


def enrolled_anew(story: Story) -> list[Source]:
    """site-01 gets a new key and a new ledger in epoch 2; returns the files of the old one."""
    new, old = SigningIdentity(b"N" * 32), story.files([ONE])
    keys = dict(story.roster.keys) | {ONE: new.public_key}
    story.roster = Roster(
        federation=FEDERATION,
        epoch=2,
        sites=tuple(RosterSite(site=n, name=n, public_key=keys[n]) for n in story.names),
    )
    story.signed = story.roster.sign(story.federation_key)
    story.scribes[ONE] = Scribe(ONE, new, story)
    for name in story.names:
        story._pin(name)
        story.set_policy(name, Policy())
    story.coordinator.write("roster", **story._roster_body())
    story.wait(days=1)
    return [Source(name="old/" + source.name, data=source.data) for source in old]


def two_enrolments(edit: Edit = lambda *_: None) -> tuple[Story, list[Source]]:
    story = Story()
    story.run()
    old = enrolled_anew(story)
    story.edit = edit
    story.run()
    return story, old


def says_nothing(who: str, kind: str, _body: Body) -> Entries | None:
    told = ("plan-accepted", "reserved", "committed", "released", "run-ended")
    return [("user-forgotten", {})] if who == ONE and kind in told else None


def audited(files: list[Source]) -> AuditReport:
    return audit(files)


def test_a_site_enrolled_anew_answers_for_both_of_its_ledgers() -> None:
    story, old = two_enrolments()
    report = audited(story.files() + old)
    assert report.verdict is Verdict.PASSED, report.findings
    assert {(s.site, s.attempts) for s in report.spending.sites} == {(n, 4) for n in story.names}
    assert report.windows[ONE] == report.windows["site-02"]
    for part in (story.files(), [f for f in story.files() if not f.name.startswith(ONE)] + old):
        report = audited(part)
        assert report.verdict is Verdict.UNVERIFIABLE, report.findings
        assert "audit/missing-ledger" in codes(report, Severity.UNVERIFIABLE)


def test_a_new_ledger_that_hides_a_run_is_found_beside_the_old_one() -> None:
    story, old = two_enrolments(says_nothing)
    report = audited(story.files() + old)
    assert "audit/unadmitted" in codes(report)


def test_a_coordinator_with_a_new_key_answers_for_both_of_its_ledgers() -> None:
    story = Story()
    story.run()
    old = [Source(name="old/" + f.name, data=f.data) for f in story.files([COORDINATOR])]
    story.roster = Roster(federation=FEDERATION, epoch=2, sites=story.roster.sites)
    story.signed = story.roster.sign(story.federation_key)
    story.coordinator = Scribe(COORDINATOR, SigningIdentity(b"C" * 32), story)
    story.scribes[COORDINATOR] = story.coordinator
    for name in story.names:
        story._pin(name)
    story.coordinator.write("roster", **story._roster_body())
    story.run()
    report = audited(story.files() + old)
    assert report.verdict is Verdict.PASSED, report.findings
    assert len(report.spending.runs) == 2
    assert all(run.claimed for run in report.spending.runs)
    alone = audited(story.files())
    assert (alone.verdict, codes(alone)) == (Verdict.UNVERIFIABLE, set())


# What others hold.


@pytest.mark.parametrize("left", [0, 1])
def test_a_site_that_lacks_receipts_is_told_whether_its_file_is_there_or_not(left: int) -> None:
    story = Story()
    story.run()
    story.scribes[ONE].receipts = story.scribes[ONE].receipts[:left]
    report = story.audit()
    assert report.verdict is Verdict.UNVERIFIABLE
    assert {name for name, _ in lines_of(report, "audit/receipt-missing")} == {
        f"{ONE}.ledger.jsonl"
    }


def test_a_forged_head_accuses_nobody_but_who_gave_it() -> None:
    story = Story()
    story.run()
    forged = json.loads(story.scribes[ONE].receipts[0])
    forged["heads"][0]["head"] = "00" * 32
    story.scribes[ONE].receipts.append(canonical_json(forged))
    report = story.audit()
    assert {f.ledger for f in report.findings if f.severity is Severity.VIOLATION} == {
        f"{ONE}.receipts.jsonl"
    }
    assert codes(report, Severity.UNVERIFIABLE) == set()


def restored(seq: int | None = None) -> Story:
    """site-01 goes back to before round 1 and says so."""
    story = Story()
    story.run()
    scribe = story.scribes[ONE]
    head = scribe.head().head
    kept = next(k for k, line in enumerate(scribe.lines) if b'"round":1' in line)
    scribe.lines = scribe.lines[:kept]
    scribe.chain = Chain.resume(scribe.lines[-1])
    scribe.write("old-backup", seq=head.seq if seq is None else seq, head=head.hash.hex())
    return story


def test_a_restored_site_that_says_so_is_unverifiable_and_no_more() -> None:
    report = restored().audit()
    assert report.verdict is Verdict.UNVERIFIABLE
    assert "audit/old-backup" in codes(report, Severity.UNVERIFIABLE)


def test_a_lost_line_that_nobody_holds_excuses_nothing() -> None:
    assert codes(restored(2**53 - 1).audit()) & {"ledger/fork", "ledger/truncated"}


def test_who_shared_keys_took_part_though_the_coordinator_names_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def certificate(run: Run, context: Any, names: list[str]) -> bytes:
        """site-03 is among those who shared, not among the survivors."""
        count = len(run.plan.cohort)
        sets = type(context.everyone)
        shared = sets.of(count, range(count))
        left = sets.of(count, [run.plan.cohort.index(name) for name in names])
        full = digest("test/full", context.hash)
        said = survived(context.hash, full, shared, left)
        return Certificate(
            ctx=context.hash,
            full=full,
            dealers=shared,
            survivors=left,
            signers=left,
            signatures=tuple(site.identity.sign(*said) for site in run.joined),
        ).to_bytes()

    monkeypatch.setattr(Run, "_certificate", certificate)
    story = Story()
    run = Run(story, story.plan(survivors=3), f"{1:032x}", [])
    run.joined = [site for site in story.sites if site.writer != "site-03"]
    run.attempt(0)
    run.attempt(1)
    run.finish()
    report = story.audit([COORDINATOR, "site-00", ONE, "site-02"])
    assert "audit/survivors" in codes(report)
    missing = [f.message for f in report.findings if f.code == "audit/missing-ledger"]
    assert ["site-03" in message for message in missing] == [True]


# Rules and budgets.


def test_an_invited_site_that_refused_is_worth_a_note() -> None:
    story = Story()
    story.run(story.plan(survivors=3), refuse=["site-03"])
    report = story.audit([COORDINATOR, "site-00", ONE, "site-02"])
    assert report.verdict is Verdict.PASSED, report.findings
    assert "audit/took-no-part" in codes(report, Severity.NOTE)


def test_every_code_with_a_severity_of_its_own_is_one_that_findings_have() -> None:
    assert {*_NOTES, *_UNVERIFIABLE} <= set(SEVERITIES)


@pytest.mark.parametrize("when_exhausted", ["refuse", "leave-users-out"])
def test_a_run_that_a_site_ends_because_it_fell_silent_prolongs_no_window(
    when_exhausted: str,
) -> None:
    story = Story(policy=budget(5.0, window_days=30, when_exhausted=when_exhausted))
    run = story.run(finish=False)
    silent = story.scribes[ONE]
    run.joined.remove(silent)
    run.finish()
    story.wait(days=40)
    silent.write("run-ended", run=run.id, outcome="failed", code="site/silent")
    story.run()
    assert story.audit().verdict is Verdict.PASSED


def test_a_revelation_is_judged_by_the_policy_under_which_the_vector_was_masked() -> None:
    def edit(who: str, kind: str, body: Body) -> Entries | None:
        if (who, kind) != (ONE, "released") or body["round"]:
            return None
        policy = story.policies[ONE]
        one_peer = dict(list(policy.peers.verified.items())[:1])
        peers = policy.peers.model_copy(update={"verified": one_peer})
        tight = Policy.from_json(json.dumps(policy.model_copy(update={"peers": peers}).document()))
        changes = [("policy-changed", plain(tight)), ("policy-changed", plain(policy))]
        return [changes[0], (kind, body), changes[1]]

    story = Story(edit=edit)
    story.run()
    assert story.audit().verdict is Verdict.PASSED


def test_what_users_were_charged_is_replayed_by_the_rules_of_the_time() -> None:
    def says_so(_who: str, kind: str, body: Body) -> Entries | None:
        if kind != "plan-accepted" or body["run"] != f"{4:032x}":
            return None
        left_out = {"run": body["run"], "window_days": 365, "epsilon": 5.0, "delta": 1e-6}
        return [(kind, body), ("budget-exhausted", left_out)]

    loose = Story(policy=budget(5.0, window_days=1), edit=says_so)
    for _ in range(3):
        loose.run()
        loose.wait(days=9)  # the day of the window, and the life of an attempt
    for name in loose.names:
        loose.set_policy(name, budget(5.0, window_days=365))
    loose.run()
    report = loose.audit()
    assert report.verdict is Verdict.PASSED, report.findings
    once = Story(policy=budget(100.0))
    for _ in range(3):
        once.run()
    assert report.windows[ONE].epsilon == pytest.approx(once.audit().windows[ONE].epsilon)


def test_a_site_that_refuses_what_is_beyond_must_look_again_when_its_cap_shrinks() -> None:
    def shrink(who: str, kind: str, body: Body) -> Entries | None:
        if (who, kind) != (ONE, "reserved") or (body["run"], body["round"]) != (f"{2:032x}", 1):
            return None
        tight = story.policies[ONE].budget.model_copy(update={"epsilon": 4.5})
        policy = story.policies[ONE].model_copy(update={"budget": tight})
        return [
            ("policy-changed", plain(Policy.from_json(json.dumps(policy.document())))),
            (kind, body),
        ]

    story = Story(policy=budget(8.0, when_exhausted="refuse"), edit=shrink)
    story.run()
    story.run()
    report = story.audit()
    assert {name for name, _ in lines_of(report, "audit/budget")} == {f"{ONE}.ledger.jsonl"}


def test_without_sampling_a_cap_has_no_thousandth_to_spare() -> None:
    free = Story(policy=budget(100.0))
    free.run()
    free.run()
    both = free.audit().windows[ONE].epsilon
    for cap, found in ((both / 1.0009, {"audit/budget"}), (both * (1 + 1e-9), set[str]())):
        story = Story(policy=budget(cap, when_exhausted="refuse"))
        story.run()
        story.run()
        assert codes(story.audit()) == found


def test_a_plan_of_another_federation_than_the_roster_is_found_on_both_sides() -> None:
    def elsewhere(_who: str, kind: str, body: Body) -> Entries | None:
        if kind not in ("plan", "plan-accepted"):
            return None
        document = body["document"] | {"federation": "vineyard"}
        hashed = digest("recommons/plan/1", canonical_json(document)).hex()
        return [(kind, body | {"document": document, "plan": hashed})]

    story = Story(edit=elsewhere)
    story.run()
    found = {name for name, _ in lines_of(story.audit(), "audit/plan-roster")}
    assert found == {f"{name}.ledger.jsonl" for name in story.scribes}


def test_heads_prove_that_vectors_came_so_that_the_attempt_must_be_charged() -> None:
    def uncharged(_who: str, kind: str, body: Body) -> Entries | None:
        if kind == "round-aborted":
            return [(kind, {**body, "events": []})]
        return [] if kind == "certificate" else None

    story = Story(edit=uncharged)
    run = Run(story, story.plan(), f"{1:032x}", [])
    run.attempt(0, until="reveal")
    report = story.audit([COORDINATOR], trust=federation_of(story))
    (found,) = lines_of(report, "audit/uncounted-attempt")
    assert found == ("coordinator.ledger.jsonl", len(story.coordinator.lines))


# Canaries.


def with_canaries(seed: bytes, shown: bytes, *, early: bool = False) -> Story:
    run = f"{1:032x}"
    committed = digest("recommons/canaries/1/commitment", bytes.fromhex(run), seed).hex()
    commitment = ("canaries-committed", {"run": run, "commitment": committed})
    revelation = ("canaries-revealed", {"run": run, "seed": shown.hex()})

    def edit(who: str, kind: str, body: Body) -> Entries | None:
        if who == COORDINATOR and kind == "plan":
            return [commitment, (kind, body), *([revelation] if early else [])]
        if who == COORDINATOR and kind == "run-ended" and not early:
            return [revelation, (kind, body)]
        return None

    story = Story(edit=edit)
    story.run()
    return story


def test_the_coins_of_an_empirical_audit_are_fixed_before_and_shown_after() -> None:
    seed = b"s" * 32
    assert with_canaries(seed, seed).audit().verdict is Verdict.PASSED
    assert codes(with_canaries(seed, b"t" * 32).audit()) == {"audit/canaries"}
    assert codes(with_canaries(seed, seed, early=True).audit()) == {"audit/canaries"}


def test_a_seed_shown_of_no_run_and_committed_to_too_late_is_found() -> None:
    def late(who: str, kind: str, body: Body) -> Entries | None:
        if who != COORDINATOR or kind != "run-ended":
            return None
        return [
            ("canaries-revealed", {"run": "cc" * 16, "seed": "bb" * 32}),
            ("canaries-committed", {"run": body["run"], "commitment": "aa" * 32}),
            (kind, body),
        ]

    story = Story(edit=late)
    story.run()
    assert {"audit/canaries", "audit/not-joined"} <= codes(story.audit())
    assert len(lines_of(story.audit(), "audit/canaries")) == 2


# What is printed.


@pytest.mark.parametrize("value", [5e-324, 1e-310, 2.3e-308, 1e-300])
def test_the_smallest_numbers_are_rounded_up_and_printed(value: float) -> None:
    assert float(epsilon_text(value)) >= value
    assert "10" in small_text(value)


def test_a_claim_of_next_to_nothing_is_printed_as_too_small() -> None:
    def edit(_who: str, kind: str, body: Body) -> Entries | None:
        return [(kind, {**body, "epsilon": 5e-324})] if kind == "model-released" else None

    story = Story(edit=edit)
    story.run()
    report = story.audit()
    assert "audit/release-claim" in codes(report)
    assert list(summary_lines(report))


def test_no_name_in_a_ledger_reaches_a_terminal_as_a_command() -> None:
    findings = Findings()
    findings.add("audit/plan", "unknown field \x1b[2J\x1b[HPASSED\u202e", ledger="a\x1b[2J.jsonl")
    (found,) = findings.sorted()
    assert found.message.isprintable()
    assert found.ledger is not None
    assert found.ledger.isprintable()
    assert "PASSED" in found.message


def test_a_sites_receipts_beside_a_copy_of_anothers_ledger_vouch_for_nothing() -> None:
    """site-01 shows an earlier state of itself, and site-00's ledger as if with its receipts."""
    story = Story()
    story.run()
    one, other = story.scribes[ONE], story.scribes["site-00"]
    lines, receipts = len(one.lines), len(one.receipts)
    story.run()
    one.lines, one.receipts = one.lines[:lines], one.receipts[:receipts]
    honest = story.audit(only=[ONE, "site-00"])
    assert lines_of(honest, "ledger/truncated") == [(f"{ONE}.ledger.jsonl", lines)]
    other.receipts = one.receipts
    report = story.audit(only=[ONE, "site-00"])
    assert (f"{ONE}.ledger.jsonl", lines) in lines_of(report, "audit/unanchored")
    assert report.verdict is Verdict.UNVERIFIABLE


def test_receipts_that_can_be_the_sites_vouch_for_others() -> None:
    story = Story()
    story.run()
    assert lines_of(story.audit(only=[ONE, "site-00"]), "audit/unanchored") == []
