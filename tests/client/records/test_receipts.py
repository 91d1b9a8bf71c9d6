"""What a site checks of a receipt before it reveals anything, and of heads it is shown."""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from recommons.client.keys import read_key
from recommons.client.records.books import LEDGER, RECEIPTS, distrusted
from recommons.client.records.heads import forget_held
from recommons.client.rounds.answering import answer
from recommons.common.errors import RecommonsError
from recommons.common.federation import Federation
from recommons.common.heads import COORDINATOR, Place, Receipt, SignedHead
from recommons.common.privacy.ledger import Chain, split_lines, verify_chain
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.wire import Envelope, Outcome, pack
from recommons.simulations.attacks import SITES, Ground
from recommons.simulations.attacks.stage import Stage

TARGET = "site-0"
LINK = bytes(range(32))


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Ground.found(Path(name) / "ground")


@pytest.fixture
def stage(ground: Ground) -> Iterator[Stage]:
    """Played until the certificate and the receipt are to be sent."""
    folder = ground.folder / "stage"
    with ground.stage(folder, before="reveal") as stage:
        yield stage
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Making:
    """What an honest receipt is made of."""

    stage: Stage

    @property
    def place(self) -> Place:
        return Place(run=self.stage.run_id.hex(), round=0, attempt=0)

    @property
    def heads(self) -> list[SignedHead]:
        return [self.stage.notary.heads[self.place, site] for site in SITES]

    def receipt(
        self,
        place: Place | None = None,
        heads: list[SignedHead] | None = None,
        by: SigningIdentity | None = None,
        federation: str | None = None,
        writer: str = COORDINATOR,
        length: int = 7,
    ) -> bytes:
        return Receipt.issue(
            federation or self.stage.plan.federation,
            place or self.place,
            self.heads if heads is None else heads,
            Chain(writer=writer, length=length, link=LINK),
            by or self.stage.found.coordinator.identity,
        ).to_bytes()

    def head(self, site: str, *, length: int, link: bytes = LINK) -> SignedHead:
        """A head under the site's own key."""
        return SignedHead.sign(
            self.stage.plan.federation,
            Chain(writer=site, length=length, link=link),
            read_key(self.stage.found.sites[site] / "identity.key"),
        )

    def with_head(self, place: int, head: SignedHead) -> list[SignedHead]:
        return [*self.heads[:place], head, *self.heads[place + 1 :]]

    def earlier_own_head(self) -> SignedHead:
        """A true head of the target's ledger, but not the one it sent."""
        sent = self.heads[0].head
        with self.stage.sites[TARGET].store.transaction() as transaction:
            line = LEDGER.line(transaction, sent.seq - 1)
        assert line is not None
        return self.head(TARGET, length=sent.seq, link=Chain.resume(line.line).link)


def reveal(stage: Stage, receipt: bytes) -> bytes:
    body = pack(stage.honest.message_for(TARGET), receipt)
    envelope = Envelope(run_id=stage.run_id, exchange="reveal")
    return answer(stage.sites[TARGET], envelope, body)


def kinds(stage: Stage, site: str = TARGET) -> list[str]:
    lines = split_lines((stage.found.sites[site] / "ledger.jsonl").read_bytes())
    return [entry.kind for entry in verify_chain(lines, stage.roster.keys[site], writer=site)]


def receipts(stage: Stage) -> list[bytes]:
    path = stage.found.sites[TARGET] / "receipts.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


STRANGER = SigningIdentity(b"s" * 32)
WRONG: dict[str, tuple[str, Callable[[Making], bytes]]] = {
    "empty": ("ledger/receipt", lambda _: b""),
    "not canonical": ("ledger/receipt", lambda m: m.receipt().replace(b":", b": ", 1)),
    "not the coordinator's": ("ledger/receipt", lambda m: m.receipt(by=STRANGER)),
    "a site's": (
        "ledger/receipt",
        lambda m: m.receipt(by=read_key(m.stage.found.sites["site-1"] / "identity.key")),
    ),
    "of another federation": ("ledger/receipt", lambda m: m.receipt(federation="another")),
    "of another run": (
        "ledger/receipt",
        lambda m: m.receipt(replace(m.place, run="00" * 16)),
    ),
    "of another round": ("ledger/receipt", lambda m: m.receipt(replace(m.place, round=1))),
    "of another attempt": ("ledger/receipt", lambda m: m.receipt(replace(m.place, attempt=1))),
    "of the end of the run": ("ledger/receipt", lambda m: m.receipt(Place(run=m.place.run))),
    "the coordinator's head in a site's name": (
        "ledger/receipt",
        lambda m: m.receipt(writer="site-1"),
    ),
    "without heads": ("ledger/receipt", lambda m: m.receipt(heads=[])),
    "without this site": ("ledger/receipt", lambda m: m.receipt(heads=m.heads[1:])),
    "without a survivor": ("ledger/receipt", lambda m: m.receipt(heads=m.heads[:-1])),
    "with an earlier head of this site": (
        "ledger/receipt",
        lambda m: m.receipt(heads=m.with_head(0, m.earlier_own_head())),
    ),
    "with a head its site did not sign": (
        "ledger/head",
        lambda m: m.receipt(heads=m.with_head(2, replace(m.heads[2], signature=bytes(64)))),
    ),
    "with a head signed for another": (
        "ledger/head",
        lambda m: m.receipt(
            heads=m.with_head(2, replace(m.heads[2], signature=m.heads[3].signature))
        ),
    ),
    "with a later head of this site": (
        "site/old-backup",
        lambda m: m.receipt(heads=m.with_head(0, m.head(TARGET, length=99))),
    ),
    "with another head of this site": (
        "site/old-backup",
        lambda m: m.receipt(heads=m.with_head(0, m.head(TARGET, length=3))),
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_receipt_ends_the_attempt_and_nothing_is_revealed(stage: Stage, name: str) -> None:
    code, make = WRONG[name]
    with pytest.raises(RecommonsError) as found:
        reveal(stage, make(Making(stage)))
    assert found.value.code == code
    assert not stage.holds_state(TARGET)
    assert stage.traces[TARGET].left() == 0
    assert receipts(stage) == []
    assert kinds(stage)[-1] == "aborted"
    assert "released" not in kinds(stage)
    with pytest.raises(RecommonsError):  # not even with the true one
        reveal(stage, Making(stage).receipt())


def test_the_true_receipt_is_kept_with_the_release(stage: Stage) -> None:
    receipt = Making(stage).receipt()
    reply = reveal(stage, receipt)
    assert receipts(stage) == [receipt]
    assert kinds(stage)[-1] == "released"
    assert reveal(stage, receipt) == reply
    assert receipts(stage) == [receipt]


@pytest.mark.parametrize("whose", ["site-2", COORDINATOR])
def test_a_writer_whose_ledger_went_back_since_the_last_receipt_ends_the_attempt(
    stage: Stage, whose: str
) -> None:
    """A peer shows this even where the coordinator would not: it has kept the earlier head."""
    making = Making(stage)
    reveal(stage, making.receipt(length=7))
    protocol = stage.before("reveal", attempt=1)
    later = Place(run=making.place.run, round=0, attempt=1)
    heads = [stage.notary.heads[later, site] for site in SITES]
    length = 7 + 5
    if whose == COORDINATOR:
        length = 6
    else:
        before = making.heads[2].head
        heads[2] = making.head(whose, length=before.seq, link=secrets.token_bytes(32))
    receipt = making.receipt(place=later, heads=heads, length=length)
    envelope = Envelope(run_id=stage.run_id, exchange="reveal", attempt=1)
    with pytest.raises(RecommonsError, match=whose) as found:
        answer(stage.sites[TARGET], envelope, pack(protocol.message_for(TARGET), receipt))
    assert found.value.code == "ledger/rollback"
    assert not stage.holds_state(TARGET, attempt=1)


def test_a_writer_that_went_back_once_is_not_believed_again_until_it_is_forgotten(
    stage: Stage,
) -> None:
    """A ledger that went back grows again, beyond the line that is held, and is another."""
    making = Making(stage)
    reveal(stage, making.receipt(length=7))
    held = making.heads[2].head

    def try_again(attempt: int, **its_head: Any) -> str | None:
        """The refusal of a receipt in which site-2 shows this head, or its true one."""
        protocol = stage.before("reveal", attempt=attempt)
        place = Place(run=making.place.run, round=0, attempt=attempt)
        heads = [stage.notary.heads[place, site] for site in SITES]
        if its_head:
            heads[2] = making.head("site-2", **its_head)
        receipt = making.receipt(place=place, heads=heads, length=7 + 5 * attempt)
        envelope = Envelope(run_id=stage.run_id, exchange="reveal", attempt=attempt)
        try:
            answer(stage.sites[TARGET], envelope, pack(protocol.message_for(TARGET), receipt))
        except RecommonsError as error:
            return error.code if "site-2" in error.message else error.message
        return None

    assert try_again(1, length=held.seq) == "ledger/rollback"
    assert try_again(2) == "ledger/rollback"  # a later one, and honest by itself
    forgotten = forget_held(stage.sites[TARGET], "site-2")
    assert forgotten == held
    assert kinds(stage)[-1] == "head-forgotten"
    assert forget_held(stage.sites[TARGET], "site-2") is None
    assert kinds(stage).count("head-forgotten") == 1
    assert try_again(3) is None


def test_an_old_last_receipt_costs_nobody_the_sites_trust(stage: Stage) -> None:
    """It may come when later ones are there already: it is refused, and that is all."""
    making, place, heads = ended(stage)
    assert anchor(stage, making.receipt(place=place, heads=heads)) == b""
    heads[2] = making.head("site-2", length=2)
    with pytest.raises(RecommonsError) as found:
        anchor(stage, making.receipt(place=place, heads=heads))
    assert found.value.code == "ledger/rollback"
    with stage.sites[TARGET].store.transaction() as transaction:
        assert distrusted(transaction) == set()


def anchor(stage: Stage, receipt: bytes) -> bytes:
    return answer(stage.sites[TARGET], Envelope(run_id=stage.run_id, exchange="anchor"), receipt)


def ended(stage: Stage) -> tuple[Making, Place, list[SignedHead]]:
    """The run has ended; the last receipt is to be sent."""
    finish = Envelope(run_id=stage.run_id, exchange="finish")
    heads = [
        SignedHead.from_bytes(answer(stage.sites[site], finish, Outcome().to_bytes()))
        for site in SITES
    ]
    return Making(stage), Place(run=stage.run_id.hex()), heads


def test_the_last_receipt_is_kept_once_and_answered_with_nothing(stage: Stage) -> None:
    making, place, heads = ended(stage)
    receipt = making.receipt(place=place, heads=heads)
    assert [anchor(stage, receipt), anchor(stage, receipt)] == [b"", b""]
    assert receipts(stage) == [receipt]


def test_a_wrong_last_receipt_is_refused_and_a_right_one_still_taken(stage: Stage) -> None:
    making, place, heads = ended(stage)
    for wrong, code in (
        (making.receipt(place=place, heads=heads, by=STRANGER), "ledger/receipt"),
        (making.receipt(place=making.place, heads=heads), "ledger/receipt"),
        (b"{}", "ledger/receipt"),
    ):
        with pytest.raises(RecommonsError) as found:
            anchor(stage, wrong)
        assert found.value.code == code
    assert receipts(stage) == []
    assert anchor(stage, making.receipt(place=place, heads=heads)) == b""


def test_a_run_is_not_anchored_before_it_ends(stage: Stage) -> None:
    making = Making(stage)
    with pytest.raises(RecommonsError) as found:
        anchor(stage, making.receipt(place=Place(run=stage.run_id.hex())))
    assert found.value.code == "site/step-order"


def test_the_last_receipt_shows_an_old_backup_too(stage: Stage) -> None:
    making, place, heads = ended(stage)
    heads[0] = making.head(TARGET, length=99)
    with pytest.raises(RecommonsError) as found:
        anchor(stage, making.receipt(place=place, heads=heads))
    assert found.value.code == "site/old-backup"
    assert kinds(stage)[-1] == "old-backup"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"outcome":"finished","version":2}', b'{"code":"x","outcome":"failed"}']
)
def test_an_end_of_a_run_that_is_not_readable_is_refused(stage: Stage, body: bytes) -> None:
    with pytest.raises(RecommonsError) as found:
        answer(stage.sites[TARGET], Envelope(run_id=stage.run_id, exchange="finish"), body)
    assert found.value.code == "site/message"
    assert kinds(stage)[-1] == "committed"


def test_receipts_are_durable_in_the_database_before_they_are_text(stage: Stage) -> None:
    receipt = Making(stage).receipt()
    reveal(stage, receipt)
    path = stage.found.sites[TARGET] / "receipts.jsonl"
    path.unlink()
    stage.restart(TARGET)
    assert receipts(stage) == [receipt]
    with stage.sites[TARGET].store.transaction() as transaction:
        last = RECEIPTS.last(transaction)
    assert last is not None
    assert last.line == receipt


def test_no_site_may_bear_the_coordinators_name(stage: Stage) -> None:
    """Or its ledger could pass for the coordinator's."""
    pinned = stage.found.coordinator.federation
    entry = replace(pinned.roster.sites[0], site=COORDINATOR)
    roster = replace(pinned.roster, sites=(entry,))
    key = stage.federation_key
    with pytest.raises(RecommonsError, match="coordinator"):
        Federation(
            signed_roster=roster.sign(key),
            federation_key=key.public_key,
            coordinator_key=pinned.coordinator_key,
        )
