"""Signing keys are replaced between runs: nothing is forgotten, and an auditor sees one story."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from recommons.client.enrolment import accept_federation, create_site
from recommons.client.membership.changes import changes
from recommons.client.membership.epochs import pin_epoch
from recommons.client.membership.peers import set_verified
from recommons.client.membership.rotation import begin_rotation
from recommons.client.records.halting import clear_halt
from recommons.client.records.heads import forget_held
from recommons.client.site import Site, SiteConfig
from recommons.common.audit.audit import audit
from recommons.common.audit.findings import Severity, Verdict
from recommons.common.audit.report import AuditReport
from recommons.common.audit.sources import Source
from recommons.common.durably import write_durably
from recommons.common.epochs import Epoch
from recommons.common.errors import RecommonsError
from recommons.common.federation import Federation as Pinned
from recommons.common.heads import Place, Receipt
from recommons.common.peers import fingerprint
from recommons.common.policy_file import policy_from_toml
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.succession import Succession
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.journal import RunJournal
from tests.simulations.small_federation import COORDINATOR, SITES, WRITERS, Federation

TARGET = "site-1"
OTHERS = tuple(site for site in SITES if site != TARGET)
FEDERATION_KEY = SigningIdentity(b"f" * 32)
NEXT_COORDINATOR = SigningIdentity(b"c" * 32)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Federation:
    """After one run, under a roster that a known key has signed."""
    made = Federation.found(tmp_path_factory.mktemp("rotations") / "one", tiny_data, rounds=1)
    drawn = made.coordinator.federation
    pinned = Pinned(
        signed_roster=drawn.roster.sign(FEDERATION_KEY),
        federation_key=FEDERATION_KEY.public_key,
        coordinator_key=drawn.coordinator_key,
    )
    for site in SITES:
        accept_federation(made.of(site), pinned)
    next_run(made, pinned)
    assert made.run().dropped == dict.fromkeys(SITES, 0)
    return made


@pytest.fixture
def federation(founded: Federation, tmp_path: Path) -> Iterator[Federation]:
    copy = founded.copy(tmp_path / "copy")
    yield copy
    shutil.rmtree(copy.folder)


def next_run(
    federation: Federation, pinned: Pinned, coordinator: SigningIdentity | None = None
) -> None:
    """The same plan for another roster, as the next run."""
    now = federation.coordinator
    plan = now.plan.model_copy(update={"roster_hash": pinned.roster.hash.hex()})
    catalogue = (now.folder / "catalogue.json").read_bytes()
    if coordinator is not None:  # as `recommons.server.federation.publishing` does
        first = now.folder / "ledger.key"
        write_durably(first, (now.folder / "coordinator.key").read_bytes())
    CoordinatorFolder.create(now.folder, coordinator or now.identity, pinned, plan, catalogue)


def signed(
    federation: Federation,
    rotated: Iterable[str] = (),
    *,
    anew: Iterable[RosterSite] = (),
    coordinator: SigningIdentity | None = None,
) -> Epoch:
    """The next epoch, in which these have their next keys, by their own word, and those others."""
    pinned = federation.coordinator.federation
    statements = []
    entries = {entry.site: entry for entry in pinned.roster.sites}
    for name in rotated:
        with Site.open(federation.of(name)) as site:
            statements.append(begin_rotation(site))
        entries[name] = replace(entries[name], public_key=statements[-1].new)
    entries |= {entry.site: entry for entry in anew}
    roster = Roster(
        federation=pinned.roster.federation,
        epoch=pinned.roster.epoch + 1,
        sites=tuple(entries.values()),
    )
    key = pinned.coordinator_key
    if coordinator is not None:
        present = federation.coordinator.identity
        statements.append(Succession.sign(roster.federation, COORDINATOR, present, coordinator))
        key = coordinator.public_key
    return Epoch.sign(roster, FEDERATION_KEY, key, statements)


def renew(
    federation: Federation,
    rotated: Iterable[str] = (),
    *,
    coordinator: SigningIdentity | None = None,
) -> Epoch:
    """Every site pins such an epoch, and the next run is under it."""
    epoch = signed(federation, rotated, coordinator=coordinator)
    for name in SITES:
        pin(federation, name, epoch)
    next_run(federation, pinned_by(epoch), coordinator)
    return epoch


def pin(federation: Federation, name: str, epoch: Epoch) -> None:
    with Site.open(federation.of(name)) as site:
        pin_epoch(site, epoch, by_hand=True)
    Site.open(federation.of(name)).store.close()


def pinned_by(epoch: Epoch) -> Pinned:
    return Pinned(
        signed_roster=epoch.signed_roster,
        federation_key=FEDERATION_KEY.public_key,
        coordinator_key=epoch.coordinator_key,
    )


def audited(
    federation: Federation,
    writers: Iterable[str] = WRITERS,
    beside: Mapping[str, Path] | None = None,
) -> AuditReport:
    """Of these writers' books, and of those in folders beside them, by name."""
    folders = {writer: federation.of(writer) for writer in writers} | dict(beside or {})
    found = [
        Source(name=f"{name}/{book}.jsonl", data=(folder / f"{book}.jsonl").read_bytes())
        for name, folder in folders.items()
        for book in ("ledger", "receipts")
    ]
    return audit(found, trust=federation.coordinator.federation.to_bytes())


def found_in(report: AuditReport) -> list[str]:
    return [f"{f.code} {f.ledger}:{f.line} {f.message}" for f in report.findings]


def test_an_auditor_finds_no_fault_in_a_federation_that_has_replaced_keys(
    federation: Federation,
) -> None:
    renew(federation, [TARGET, "site-2"], coordinator=NEXT_COORDINATOR)
    assert federation.run().dropped == dict.fromkeys(SITES, 0)
    renew(federation, [TARGET])
    assert federation.run().dropped == dict.fromkeys(SITES, 0)
    with Site.open(federation.of("site-0")) as site:
        told = changes(site, signed(federation, ["site-2"]))
    assert "signed by its earlier key" in told[0]
    assert "had a ledger" not in told[0]
    whole = audited(federation)
    assert whole.verdict is Verdict.PASSED, found_in(whole)
    for writers in (SITES, (TARGET, COORDINATOR)):
        report = audited(federation, writers)
        found = {f.code for f in report.findings}
        assert found <= {"audit/missing-ledger", "audit/no-guarantee"}, found_in(report)


def test_an_auditor_does_not_take_a_replaced_key_on_the_federations_word_alone(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the site's own statement, a ledger under another key is another's."""
    monkeypatch.setattr("recommons.client.records.acceptance._statements", lambda _epoch: [])
    renew(federation, [TARGET])
    federation.run()
    report = audited(federation)
    found = {f.code for f in report.findings if f.ledger == f"{TARGET}/ledger.jsonl"}
    assert "audit/roster" in found
    assert report.verdict is Verdict.VIOLATION


def backup(federation: Federation, writer: str = TARGET) -> Path:
    kept = federation.folder / "backups" / writer
    shutil.copytree(federation.of(writer), kept)
    return kept


def restore(federation: Federation, kept: Path, writer: str = TARGET) -> None:
    shutil.rmtree(federation.of(writer))
    shutil.copytree(kept, federation.of(writer))


def restored_across_a_rotation(federation: Federation) -> None:
    """A backup with the next key, a run, the rotation, and the backup put in place."""
    with Site.open(federation.of(TARGET)) as site:
        begin_rotation(site)
    kept = backup(federation)
    federation.new_run()
    federation.run()
    restore(federation, kept)
    renew(federation, [TARGET])
    with Site.open(federation.of(TARGET)) as site:
        assert site.identity.public_key == federation.coordinator.federation.roster.keys[TARGET]


def test_a_site_restored_from_before_its_rotation_halts(federation: Federation) -> None:
    restored_across_a_rotation(federation)
    result = federation.run()
    assert result.dropped[TARGET] == 1
    assert federation.kinds(TARGET)[-1] == "old-backup"
    assert "committed" not in federation.kinds(TARGET)[-4:]


def test_its_peers_reveal_nothing_where_the_coordinator_hides_what_it_holds(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key that the peers hold its head under is no longer in force; its name is."""
    restored_across_a_rotation(federation)
    monkeypatch.setattr("recommons.server.records.journal._last_heads", lambda *_: ({}, {}))
    with pytest.raises(RecommonsError):
        federation.run()
    assert len(aborts(federation)) == federation.coordinator.plan.privacy.spare_attempts + 1
    assert set(refusals(federation, OTHERS[0])) == {"ledger/rollback"}  # ever since, too


def aborts(federation: Federation) -> list[str]:
    lines = map(json.loads, federation.lines(COORDINATOR))
    return [line["body"]["code"] for line in lines if line["kind"] == "round-aborted"]


def refusals(federation: Federation, site: str) -> list[str]:
    lines = map(json.loads, federation.lines(site))
    return [line["body"]["code"] for line in lines if line["kind"] == "aborted"]


def test_a_coordinator_restored_from_before_its_rotation_gets_no_sum(
    federation: Federation,
) -> None:
    kept = backup(federation, COORDINATOR)
    federation.new_run()
    federation.run()
    restore(federation, kept, COORDINATOR)
    renew(federation, coordinator=NEXT_COORDINATOR)
    with pytest.raises(RecommonsError):
        federation.run()
    assert set(refusals(federation, TARGET)) == {"ledger/rollback"}


def test_a_site_that_joined_anew_under_its_name_starts_no_new_count(
    federation: Federation,
) -> None:
    old = federation.of(TARGET)
    lost = federation.folder / "lost"
    shutil.move(old, lost)
    config = SiteConfig.model_validate_json((lost / "site.json").read_bytes())
    policy = policy_from_toml((lost / "policy.toml").read_bytes())
    entry = create_site(old, config, policy)
    shutil.copy(lost / "events.parquet", old / "events.parquet")
    for peer in OTHERS:  # whose operators have compared the new key
        set_verified(federation.of(peer), {TARGET: fingerprint(entry.public_key)})
    epoch = signed(federation, anew=[entry])
    for peer in OTHERS:
        with Site.open(federation.of(peer)) as site:
            (told,) = changes(site, epoch)
            assert "had a ledger before" in told
        pin(federation, peer, epoch)
    accept_federation(old, pinned_by(epoch))
    next_run(federation, pinned_by(epoch))
    assert federation.run().dropped[TARGET] == 1
    assert federation.kinds(TARGET) == ["roster-accepted", "policy-changed"]
    with Site.open(old) as site:
        given_up = clear_halt(site)
        assert given_up is not None
        assert clear_halt(site) is None
    assert federation.kinds(TARGET)[-1] == "earlier-ledger"
    for peer in OTHERS:
        with Site.open(federation.of(peer)) as site:
            held = forget_held(site, TARGET)
            assert held == given_up
    federation.new_run()
    assert federation.run().dropped[TARGET] == 0
    report = audited(federation)
    (found,) = [f for f in report.findings if f.code == "audit/earlier-ledger"]
    assert found.ledger == f"{TARGET}/ledger.jsonl"
    assert f"up to line {given_up.seq + 1} or beyond" in found.message
    assert found.message.endswith(
        "the operator has said that every user counts as spent (not checked here)"
    )
    missing = {f.code for f in report.findings if f.severity is Severity.UNVERIFIABLE}
    assert (report.verdict, missing) == (Verdict.UNVERIFIABLE, {"audit/missing-ledger"})
    assert audited(federation, beside={"lost": lost}).verdict is Verdict.PASSED


def test_the_last_receipt_reaches_a_site_that_has_replaced_its_key_since_the_run(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the run, pinned the next epoch, and only then is given the receipt."""
    anchor = RunJournal.anchor
    epochs: list[Epoch] = []

    def late(journal: RunJournal) -> Receipt | None:
        receipt = anchor(journal)
        if not epochs:
            epochs.append(renew(federation, [TARGET, "site-2"]))
        return receipt

    federation.new_run()
    monkeypatch.setattr(RunJournal, "anchor", late)
    run = federation.coordinator.run_id.hex()
    federation.run()
    for site in SITES:
        path = federation.of(site) / "receipts.jsonl"
        last = Receipt.from_bytes(path.read_bytes().splitlines()[-1])
        assert last.place == Place(run=run), site
