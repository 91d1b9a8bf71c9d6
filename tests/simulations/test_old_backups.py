"""A site restored from an old backup of its whole folder halts before it sends anything."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recommons.client import app as client_app
from recommons.client.enrolment import accept_federation
from recommons.client.keys import read_key
from recommons.client.records.halting import clear_halt
from recommons.client.records.heads import forget_held
from recommons.client.rounds.answering import answer
from recommons.client.site import Site
from recommons.common.errors import RecommonsError, Refusal
from recommons.common.federation import Federation as Pinned
from recommons.common.heads import SignedHead, heads_to_bytes
from recommons.common.privacy.ledger import Chain
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster
from recommons.common.wire import EXCHANGES, Envelope, Exchange, pack
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.journal import RunJournal
from recommons.server.rounds.progress import RoundProgress
from tests.simulations.small_federation import COORDINATOR, SITES, Federation

TARGET = "site-1"
Replies = list[tuple[str, str, int, int]]


@pytest.fixture(scope="module")
def founded(tiny_data: Path) -> Iterator[Federation]:
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Federation.found(Path(name) / "founded", tiny_data)


@pytest.fixture
def federation(founded: Federation) -> Iterator[Federation]:
    copy = founded.copy(founded.folder.with_name("copy"))
    yield copy
    shutil.rmtree(copy.folder)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Replies:
    """(site, exchange, round, attempt) of every reply that left a site, in order."""
    found: Replies = []

    def told(site: Site, envelope: Envelope, body: bytes) -> bytes:
        reply = answer(site, envelope, body)
        found.append((site.id, envelope.exchange, envelope.round, envelope.attempt))
        return reply

    monkeypatch.setattr(client_app, "answer", told)
    return found


def backup(federation: Federation, site: str = TARGET) -> Path:
    """A copy of a site's whole folder as it is now: database, ledger, receipts, keys and data."""
    kept = federation.folder / "backups" / site
    shutil.copytree(federation.of(site), kept)
    return kept


def restore(federation: Federation, kept: Path, site: str = TARGET) -> None:
    shutil.rmtree(federation.of(site))
    shutil.copytree(kept, federation.of(site))


def of_target(left: Replies) -> list[str]:
    return [exchange for site, exchange, *_ in left if site == TARGET]


@pytest.mark.parametrize("taken", [(1, "advertise"), (1, "sign"), (2, "advertise"), (2, "masked")])
def test_between_rounds(federation: Federation, left: Replies, taken: tuple[int, str]) -> None:
    """Backed up at some step of an earlier round, restored before the last round's first."""
    kept: list[Path] = []
    before: list[int] = []

    def listen(progress: RoundProgress) -> None:
        if (progress.round, progress.step) == taken:
            kept.append(backup(federation))
        if (progress.round, progress.step) == (3, "advertise"):
            restore(federation, kept[0])
            before.append(len(left))

    result = federation.run(listen)
    assert of_target(left[before[0] :]) == []
    assert federation.kinds(TARGET)[-1] in ("old-backup", "aborted")
    assert "old-backup" in federation.kinds(TARGET)
    assert result.dropped[TARGET] == 1
    others = [site for site in SITES if site != TARGET]
    for site in others:  # the run goes on without it, and what it had signed stays with the others
        heads = [h for h in federation.heads_held_by(site) if h.writer == TARGET]
        with pytest.raises(RecommonsError) as found:
            federation.entries(TARGET, heads)
        assert found.value.code in ("ledger/fork", "ledger/truncated")


def test_between_runs(federation: Federation, left: Replies) -> None:
    kept = backup(federation)
    federation.run()
    restore(federation, kept)
    federation.new_run()
    before = len(left)
    result = federation.run()
    assert of_target(left[before:]) == []
    assert federation.kinds(TARGET) == ["roster-accepted", "policy-changed", "old-backup"]
    assert result.dropped[TARGET] == len(federation.coordinator.plan.rounds)


@pytest.mark.parametrize("lines", [1, 2])
def test_a_backup_that_lacks_the_last_lines_alone_halts_too(
    federation: Federation, left: Replies, lines: int
) -> None:
    """Taken after the last round's step `reveal` (before `finish`), or before that step."""
    kept: list[Path] = []

    def listen(progress: RoundProgress) -> None:
        step = "release" if lines == 1 else "reveal"
        if (progress.round, progress.step) == (3, step):
            kept.append(backup(federation))

    federation.run(listen)
    restore(federation, kept[0])
    federation.new_run()
    before = len(left)
    federation.run()
    assert of_target(left[before:]) == []
    assert "old-backup" in federation.kinds(TARGET)


def test_a_backup_that_lacks_nothing_goes_on(federation: Federation, left: Replies) -> None:
    federation.run()
    restore(federation, backup(federation))
    federation.new_run()
    result = federation.run()
    assert result.dropped[TARGET] == 0
    assert of_target(left)[-1] == "anchor"


def show(site: Site, *heads: SignedHead) -> str:
    """The code with which a site answers when it is shown these heads of its own at ``join``."""
    body = pack(b"", heads_to_bytes(heads))
    with pytest.raises(RecommonsError) as found:
        answer(site, Envelope(run_id=bytes(16), exchange="join"), body)
    return found.value.code


@pytest.fixture(scope="module")
def stopped(founded: Federation) -> Federation:
    """After a run the target was restored from before it, and has halted."""
    made = founded.copy(founded.folder.with_name("stopped"))
    kept = backup(made)
    made.run()
    restore(made, kept)
    with Site.open(made.of(TARGET)) as site:
        assert show(site, RunJournal(made.coordinator).held[TARGET]) == "site/old-backup"
    return made


@pytest.fixture
def halted(stopped: Federation) -> Iterator[Federation]:
    copy = stopped.copy(stopped.folder.with_name("halted"))
    yield copy
    shutil.rmtree(copy.folder)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_halted_site_refuses_everything_after_a_restart_too(
    halted: Federation, exchange: Exchange
) -> None:
    lines = halted.lines(TARGET)
    for _ in range(2):
        with Site.open(halted.of(TARGET)) as site, pytest.raises(Refusal) as found:
            answer(site, Envelope(run_id=bytes(16), exchange=exchange), b"")
        assert found.value.code == "site/halted"
    assert halted.lines(TARGET) == lines


def test_the_ledger_says_which_head_the_site_lacks(halted: Federation) -> None:
    held = RunJournal(halted.coordinator).held[TARGET].head
    entry = halted.entries(TARGET)[-1]
    assert entry.kind == "old-backup"
    assert entry.body == {"seq": held.seq, "head": held.hash.hex()}


def test_the_newest_folder_in_place_ends_the_halt(federation: Federation) -> None:
    kept = backup(federation)
    federation.run()
    newest = federation.folder / "newest"
    shutil.copytree(federation.of(TARGET), newest)
    restore(federation, kept)
    federation.new_run()
    federation.run()
    assert "old-backup" in federation.kinds(TARGET)
    restore(federation, newest)
    federation.new_run()
    assert federation.run().dropped[TARGET] == 0


def test_an_open_attempts_secrets_are_erased_when_the_site_halts(federation: Federation) -> None:
    kept: list[Path] = []

    def listen(progress: RoundProgress) -> None:
        if (progress.round, progress.step) == (1, "masked"):
            kept.append(backup(federation))

    federation.run(listen)
    restore(federation, kept[0])
    with Site.open(federation.of(TARGET)) as site:
        with site.store.transaction() as transaction:
            assert len(site.store.open_attempts(transaction)) == 1
        assert show(site, RunJournal(federation.coordinator).held[TARGET]) == "site/old-backup"
        with site.store.transaction() as transaction:
            assert site.store.open_attempts(transaction) == []
    assert federation.kinds(TARGET)[-2:] == ["old-backup", "aborted"]


def test_nobody_else_can_halt_a_site(federation: Federation) -> None:
    """At a head that it never signed and does not have it declines and no more."""
    federation.run()
    stranger = SigningIdentity(secrets.token_bytes(32))
    real = RunJournal(federation.coordinator).held[TARGET]
    forged = replace(real, signature=stranger.sign("any", b"thing"))
    later = replace(real, head=replace(real.head, seq=9999))
    elsewhere = SignedHead.sign(
        "another", Chain(writer=TARGET, length=9999, link=bytes(32)), identity(federation)
    )
    with Site.open(federation.of(TARGET)) as site:
        for head in (later, elsewhere):
            assert show(site, head) == "site/earlier-ledger"
        # Whoever signed it, the line is in the ledger: the site goes on to the plan, which is none.
        assert show(site, forged) == "plan/invalid"
        with pytest.raises(RecommonsError) as found:  # it is not halted: this is another refusal
            answer(site, Envelope(run_id=bytes(16), exchange="sign"), b"")
        assert found.value.code == "site/not-joined"


def identity(federation: Federation) -> SigningIdentity:
    return read_key(federation.of(TARGET) / "identity.key")


def next_epoch(federation: Federation) -> None:
    """Every party pins a later roster of the same sites, by hand."""
    pinned, key = federation.coordinator.federation, SigningIdentity(secrets.token_bytes(32))
    roster = Roster(
        federation=pinned.roster.federation,
        epoch=pinned.roster.epoch + 1,
        sites=pinned.roster.sites,
    )
    renewed = Pinned(
        signed_roster=roster.sign(key),
        federation_key=key.public_key,
        coordinator_key=pinned.coordinator_key,
    )
    for site in SITES:
        accept_federation(federation.of(site), renewed)
    now = federation.coordinator
    plan = now.plan.model_copy(update={"roster_hash": roster.hash.hex()})
    catalogue = (now.folder / "catalogue.json").read_bytes()
    CoordinatorFolder.create(now.folder, now.identity, renewed, plan, catalogue)


def test_a_halt_is_not_cleared_under_the_roster_whose_contexts_may_be_used(
    halted: Federation,
) -> None:
    with Site.open(halted.of(TARGET)) as site:
        with pytest.raises(Refusal, match="epoch") as found:
            clear_halt(site)
        assert found.value.code == "site/halted"
        with pytest.raises(Refusal):
            answer(site, Envelope(run_id=bytes(16), exchange="sign"), b"")


def test_a_halt_that_was_cleared_under_a_new_roster_lets_the_site_go_on(
    halted: Federation,
) -> None:
    next_epoch(halted)
    with Site.open(halted.of(TARGET)) as site:
        given_up = clear_halt(site)
        assert given_up is not None
        assert clear_halt(site) is None
    for peer in SITES:
        with Site.open(halted.of(peer)) as site:  # its operator was told by that of the target
            held = forget_held(site, TARGET)
            assert (held is not None) == (peer != TARGET)
    result = halted.run()
    assert result.dropped[TARGET] == 0
    kinds = halted.kinds(TARGET)
    assert kinds[2:5] == ["old-backup", "roster-accepted", "halt-cleared"]
    # Whoever held the lost lines still does, and everybody can see what was given up.
    heads = [h for h in halted.heads_held_by("site-2") if h.writer == TARGET]
    with pytest.raises(RecommonsError) as found:
        halted.entries(TARGET, heads)
    assert found.value.code == "ledger/fork"
    kinds = halted.kinds(COORDINATOR)
    assert kinds.count("roster") == 2


def test_a_site_that_goes_back_unnoticed_is_left_out_by_the_coordinator(
    federation: Federation, left: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site without our check: it signs an earlier head, and its vector is not used."""
    kept: list[Path] = []

    def listen(progress: RoundProgress) -> None:
        if (progress.round, progress.step) == (1, "advertise"):
            kept.append(backup(federation))
        if (progress.round, progress.step) == (3, "advertise"):
            restore(federation, kept[0])
            monkeypatch.setattr("recommons.client.rounds.answering.check_own_head", lambda *_: None)

    result = federation.run(listen)
    exchanges = [exchange for exchange in of_target(left) if exchange in ("masked", "sign")]
    assert exchanges[-1] == "masked"  # its vector came, but it is not asked to sign
    assert result.dropped[TARGET] == 1
    last = federation.receipts(COORDINATOR)[2]
    assert TARGET not in last.sites
