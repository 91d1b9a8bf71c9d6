"""What the coordinator writes down about a run, each thing before the message that depends on it.

| entry | before |
|---|---|
| `round-opened` | an attempt's first message: a context that may have been used is used |
| `advertisements` | the keys go out |
| `heads` | the vectors' survivors are proposed; the receipt is made of it |
| `certificate` | the certificate goes out |
| `sum`, `round-aborted` | the next attempt |
| `run-ended` | the last receipt goes out |

A receipt is a function of its entry alone, so that a coordinator that was killed issues the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recommons.common.certificates import certificate_body
from recommons.common.errors import LedgerError
from recommons.common.hashing import digest
from recommons.common.heads import Place, Receipt, SignedHead
from recommons.common.privacy.events import GaussianSumRelease
from recommons.common.privacy.ledger import Chain, Entry
from recommons.common.secagg.roster import Roster
from recommons.common.wire import Outcome
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.ledger import COORDINATOR, LedgerFile, ReceiptFile

__all__ = ["AttemptJournal", "RunJournal"]


class RunJournal:
    """The ledger and the receipts of a coordinator, from one run's point of view.

    Args:
        folder: The coordinator's folder.

    Raises:
        LedgerError: The ledger is not the coordinator's unbroken record.
    """

    def __init__(self, folder: CoordinatorFolder) -> None:
        self.folder = folder
        self.run = folder.run_id.hex()
        self._ledger = LedgerFile.open(folder.records / "ledger.jsonl", folder.ledger_identity)
        self._receipts = ReceiptFile.open(folder.records / "receipts.jsonl")
        self._held, self._floor = _last_heads(self._ledger, folder.federation.roster)

    @property
    def held(self) -> Mapping[str, SignedHead]:
        """The last signed head of every site of the roster that the coordinator holds."""
        return self._held

    @property
    def shown(self) -> tuple[SignedHead, ...]:
        """Those of the plan's cohort, for sites to look for their own."""
        return tuple(self._held[site] for site in self.folder.plan.cohort if site in self._held)

    @property
    def ended(self) -> Entry | None:
        """The entry with which the run ended for good, None while it goes on.

        A run that too few sites joined has not ended: it goes on when they are there.
        """
        found = [e for e in self._of_run("run-ended") if e.body["heads"]]
        return found[-1] if found else None

    def entries(self, kind: str) -> list[Entry]:
        """The run's entries of a kind, in order."""
        return self._of_run(kind)

    def open_run(self) -> None:
        """Begin the run with its roster, if another was in force, and its plan."""
        if self._of_run("plan"):
            return
        federation, plan = self.folder.federation, self.folder.plan
        last = [entry.body["roster"] for entry in self._ledger.entries("roster")][-1:]
        if last != [federation.roster.hash.hex()]:
            self._ledger.append(
                "roster",
                {
                    "roster": federation.roster.hash.hex(),
                    "epoch": federation.roster.epoch,
                    "document": json.loads(federation.signed_roster.to_bytes()),
                    "federation_key": federation.federation_key.hex(),
                },
            )
        document = json.loads(plan.to_bytes())
        body = {"run": self.run, "plan": plan.hash().hex(), "document": document}
        self._ledger.append("plan", body)

    def open_attempt(self, number: int, attempt: int, context: bytes) -> "AttemptJournal":
        """Begin an attempt: durable before its first message."""
        journal = self.attempt(number, attempt, context)
        journal.write("round-opened")
        return journal

    def attempt(self, number: int, attempt: int, context: bytes) -> "AttemptJournal":
        """The journal of an attempt that was opened before."""
        return AttemptJournal(self, number, attempt, context)

    def release(self, model: bytes, guarantee: Mapping[str, object]) -> None:
        """The model is about to be published; written once, however often the run is taken up."""
        if not self._of_run("model-released"):
            plan = self.folder.plan.hash().hex()
            body = {"run": self.run, "model": model.hex(), "plan": plan, **guarantee}
            self._ledger.append("model-released", body)

    def end(self, outcome: Outcome, heads: Iterable[SignedHead]) -> None:
        """The run is over, or cannot go on for now; `heads` are the sites' last ones.

        What nobody heard is written once, however often it is told in vain.
        """
        taken = sorted(heads, key=lambda head: head.head.writer)
        body = {"run": self.run, **outcome.fields, "heads": [h.in_ledger() for h in taken]}
        since = self._ledger.entries("run-ended", "round-opened", "round-aborted", "model-released")
        last = [entry.body for entry in since if entry.body["run"] == self.run][-1:]
        if taken or last != [body]:
            self._ledger.append("run-ended", body)
        self._hold(taken)

    def anchor(self) -> Receipt | None:
        """The receipt with the run's last heads, on the disk; None where there are none."""
        return None if self.ended is None else self.countersign(self.ended)

    def checked_head(self, site: str, data: bytes) -> SignedHead:
        """A head that this site signed, later than the one held.

        Raises:
            LedgerError: ``ledger/head`` or ``ledger/rollback``.
        """
        head, roster = SignedHead.from_bytes(data), self.folder.federation.roster
        key = roster.keys.get(site) if head.head.writer == site else None
        if key is None or not head.is_signed_by(key, roster.federation):
            raise LedgerError("ledger/head", f"not a head that {site} signed")
        held = self._floor.get(site)
        if held is not None and head != held and head.head.seq <= held.head.seq:
            raise LedgerError("ledger/rollback", f"{site} shows an earlier head than it signed")
        return head

    def countersign(self, entry: Entry) -> Receipt:
        """The receipt of a `heads` or `run-ended` entry, on the disk."""
        receipt = Receipt.issue(
            self.folder.plan.federation,
            Place(
                run=self.run,
                round=entry.body.get("round"),
                attempt=entry.body.get("attempt"),
            ),
            map(SignedHead.from_ledger, entry.body["heads"]),
            Chain(writer=COORDINATOR, length=entry.seq + 1, link=entry.hash),
            self.folder.identity,
        )
        self._receipts.keep(receipt.to_bytes())
        return receipt

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Write one entry durably."""
        entry = self._ledger.append(kind, body)
        if kind == "heads":
            self._hold(map(SignedHead.from_ledger, body["heads"]))
        return entry

    def _hold(self, heads: Iterable[SignedHead]) -> None:
        taken = {head.head.writer: head for head in heads}
        self._held |= taken
        self._floor |= taken

    def _of_run(self, kind: str) -> list[Entry]:
        return list(self._ledger.of_run(kind, self.folder.run_id))


def _last_heads(
    ledger: LedgerFile, roster: Roster
) -> tuple[dict[str, SignedHead], dict[str, SignedHead]]:
    """The last head of every site: ever, and under this roster.

    Ever, under whatever key of the site: what it is shown must not lapse when a key is replaced.
    A site's ledger may go back to an earlier line once only: under a new roster, when its operator
    has given up what an old backup lost.
    """
    last: dict[str, SignedHead] = {}
    floor: dict[str, SignedHead] = {}
    in_force = ""
    for entry in ledger.entries("roster", "heads", "run-ended"):
        if entry.kind == "roster":
            in_force = entry.body["roster"]
            floor = {}
            continue
        found = map(SignedHead.from_ledger, entry.body.get("heads", ()))
        floor |= {head.head.writer: head for head in found}
        last |= floor
    if in_force != roster.hash.hex():
        floor = {}
    return {site: last[site] for site in roster.keys if site in last}, floor


class AttemptJournal:
    """One attempt's entries, and the heads that came with its vectors."""

    def __init__(self, run: RunJournal, number: int, attempt: int, context: bytes) -> None:
        self._run = run
        self._body = {
            "run": run.run,
            "round": number,
            "attempt": attempt,
            "context": context.hex(),
        }
        self._heads: dict[str, SignedHead] = {}

    def write(self, kind: str, **fields: object) -> Entry:
        """One entry about this attempt."""
        return self._run.append(kind, self._body | fields)

    def shown_to(self, site: str) -> bytes:
        """The site's own head as the coordinator holds it, empty where it holds none."""
        held = self._run.held.get(site)
        return b"" if held is None else held.to_bytes()

    def take_head(self, site: str, data: bytes) -> str | None:
        """Take the head that came with a vector; the code of its fault, if it has one."""
        try:
            self._heads[site] = self._run.checked_head(site, data)
        except LedgerError as error:
            return error.code
        return None

    def advertised(self, keys: bytes, sites: Sequence[str], state: bytes) -> None:
        """The keys (bytes of step 2) of these sites go out, and with them the public state."""
        self.write(
            "advertisements",
            advertisements=digest("recommons/advertisements/1", keys).hex(),
            public_state=digest("recommons/state/1", state).hex(),
            sites=list(sites),
        )

    def countersign(self, survivors: Sequence[str]) -> bytes:
        """The receipt with the survivors' heads."""
        heads = [self._heads[site].in_ledger() for site in sorted(survivors)]
        return self._run.countersign(self.write("heads", heads=heads)).to_bytes()

    def certified(self, certificate: bytes, vectors: Mapping[str, bytes]) -> None:
        """The certificate (bytes of step 8) goes out; the vectors' hashes by site."""
        body = certificate_body(certificate, self._run.folder.plan.cohort)
        masked = [{"site": s, "masked": vectors[s].hex()} for s in body["survivors"]]
        self.write("certificate", **body, masked=masked)

    def summed(self, sum_hash: str, events: Iterable[GaussianSumRelease]) -> None:
        """The sum was opened; its cost."""
        self.write("sum", sum=sum_hash, events=[event.to_json() for event in events])

    def aborted(self, code: str, events: Iterable[GaussianSumRelease]) -> None:
        """The attempt came to nothing; what it cost all the same."""
        self.write("round-aborted", code=code, events=[event.to_json() for event in events])
