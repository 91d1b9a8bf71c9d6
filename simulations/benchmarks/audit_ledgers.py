"""Ledgers of a federation that only wrote: real chains, keys, heads, receipts and certificates.

Nothing is trained or summed. What the parties write is what they would have written, so an auditor
has all the work that a real federation of this age gives.
"""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recommons.common.certificates import certificate_body, certificate_hash
from recommons.common.hashing import digest
from recommons.common.heads import COORDINATOR, Place, Receipt, SignedHead
from recommons.common.models.interface import BlockRequest
from recommons.common.peers import fingerprint
from recommons.common.plan import CataloguePin, ModelPlan, Plan, PrivacyPlan, RoundPlan
from recommons.common.policy import BudgetPolicy, PeersPolicy, Policy
from recommons.common.privacy.accounting import account
from recommons.common.privacy.calibration import calibrate
from recommons.common.privacy.events import Cohort, GaussianSumRelease, events_of_round
from recommons.common.privacy.ledger import Chain
from recommons.common.secagg.context import Context
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.messages import Certificate
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.statements import survived

__all__ = ["LINES_BEFORE", "lines_of_a_run", "write_ledgers"]

LINES_BEFORE = 2
"""A site's ledger begins with its roster and its policy."""

_FEDERATION = "bench"
_USERS = 1_000
_EPSILON, _DELTA = 1.0, 1e-6
_TIME = "2026-01-01T00:00:00Z"


def lines_of_a_run(rounds: int) -> int:
    """Lines of a site's ledger about one run."""
    return 3 * rounds + 2


def write_ledgers(folder: Path, *, sites: int, lines: int, rounds: int) -> None:
    """Write every party's ledger and receipts as an auditor gets them.

    Args:
        folder: Where they go.
        sites: How many sites.
        lines: Lines of each site's ledger, at least: whole runs are written.
        rounds: Rounds of a run.
    """
    bench = _Federation([f"site-{k:02d}" for k in range(sites)])
    plan = bench.plan(rounds)
    for number in range(-(-(lines - LINES_BEFORE) // lines_of_a_run(rounds))):
        bench.run(plan, f"{number:032x}")
    for writer in bench.everybody:
        writer.leave(folder)


@dataclass(kw_only=True)
class _Writer:
    """One party's ledger and receipts."""

    name: str
    identity: SigningIdentity
    chain: Chain
    lines: list[bytes] = field(default_factory=list)
    receipts: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, name: str) -> "_Writer":
        identity = SigningIdentity(secrets.token_bytes(32))
        return cls(name=name, identity=identity, chain=Chain.start(name))

    def write(self, kind: str, **body: object) -> None:
        self.chain, line = self.chain.append(
            kind=kind, body=body, time=_TIME, sign=self.identity.sign
        )
        self.lines.append(line)

    def head(self) -> SignedHead:
        return SignedHead.sign(_FEDERATION, self.chain, self.identity)

    def leave(self, folder: Path) -> None:
        for what, texts in (("ledger", self.lines), ("receipts", self.receipts)):
            path = folder / f"{self.name}.{what}.jsonl"
            path.write_bytes(b"".join(text + b"\n" for text in texts))


class _Federation:
    """Sites, their coordinator, and the runs they write about.

    Args:
        names: The sites.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.sites = [_Writer.of(name) for name in names]
        self.coordinator = _Writer.of(COORDINATOR)
        signer = SigningIdentity(secrets.token_bytes(32))
        self.roster = Roster(
            federation=_FEDERATION,
            epoch=1,
            sites=tuple(
                RosterSite(site=one.name, name=one.name, public_key=one.identity.public_key)
                for one in self.sites
            ),
        )
        body: dict[str, Any] = {
            "roster": self.roster.hash.hex(),
            "epoch": 1,
            "document": json.loads(self.roster.sign(signer).to_bytes()),
            "federation_key": signer.public_key.hex(),
        }
        key = self.coordinator.identity.public_key.hex()
        self.policies: dict[str, str] = {}
        for site in self.sites:
            site.write("roster-accepted", **body, coordinator_key=key, accepted="joined")
            policy = self._policy(site.name)
            self.policies[site.name] = policy.hash.hex()
            site.write("policy-changed", policy=policy.hash.hex(), document=policy.document())
        self.coordinator.write("roster", **body)

    @property
    def everybody(self) -> list[_Writer]:
        return [*self.sites, self.coordinator]

    def _policy(self, own: str) -> Policy:
        keys = self.roster.keys
        peers = {name: fingerprint(keys[name]) for name in self.names if name != own}
        return Policy(budget=BudgetPolicy(epsilon="unlimited"), peers=PeersPolicy(verified=peers))

    def plan(self, rounds: int) -> Plan:
        """A plan of so many rounds, at which every site must survive."""
        declared = dict.fromkeys(self.names, _USERS)
        blocks = [
            [
                BlockRequest(name=name, size=size, clip=1.0, user_peak=1.0, share=share)
                for name, size, share in (
                    ("sums", 81_600, 0.967 / rounds),
                    ("gram", 300, 0.033 / rounds),
                )
            ]
            for _ in range(rounds)
        ]
        specs = calibrate(
            blocks,
            epsilon=_EPSILON,
            delta=_DELTA,
            cohort=Cohort(sites=len(self.names), min_survivors=len(self.names), colluding=1),
            declared_users=declared,
            spare_attempts=0,
        )
        return Plan(
            federation=_FEDERATION,
            roster_hash=self.roster.hash.hex(),
            cohort=tuple(self.names),
            declared_users=declared,
            catalogue=CataloguePin(hash="ab" * 32, items=5_000, inferred=False),
            model=ModelPlan(name="als", settings={"dim": 24}),
            privacy=PrivacyPlan(
                epsilon=_EPSILON,
                delta=_DELTA,
                colluding=1,
                min_survivors=len(self.names),
                spare_attempts=0,
            ),
            rounds=tuple(RoundPlan.model_validate_json(json.dumps(s.to_json())) for s in specs),
        )

    def run(self, plan: Plan, run: str) -> None:
        """One run, in which nothing fails."""
        known = {"run": run, "plan": plan.hash().hex()}
        document = json.loads(plan.to_bytes())
        self.coordinator.write("plan", **known, document=document)
        for site in self.sites:
            policy = self.policies[site.name]
            site.write("plan-accepted", **known, document=document, policy=policy)
        spent: list[GaussianSumRelease] = []
        for number in range(len(plan.rounds)):
            spent += self._round(plan, run, number)
        found = account(spent, plan.privacy.delta)
        self.coordinator.write(
            "model-released",
            **known,
            model="34" * 32,
            epsilon=found.epsilon,
            delta=plan.privacy.delta,
            accountant=found.accountant,
        )
        for site in self.sites:
            site.write("run-ended", run=run, outcome="finished")
        heads = [site.head() for site in self.sites]
        shown = [head.in_ledger() for head in heads]
        self.coordinator.write("run-ended", run=run, outcome="finished", heads=shown)
        self._issue(Place(run=run), heads)

    def _round(self, plan: Plan, run: str, number: int) -> list[GaussianSumRelease]:
        context = Context(
            federation=_FEDERATION,
            run=bytes.fromhex(run),
            round_index=number,
            attempt=0,
            cohort=plan.cohort,
            roster_hash=self.roster.hash,
            plan_hash=plan.hash(),
        )
        place = {"run": run, "round": number, "attempt": 0, "context": context.hash.hex()}
        releases = events_of_round(
            plan.specs()[number], plan.noise_cohort(), round_index=number, attempt=0
        )
        events = [release.to_json() for release in releases]
        by, names = self.coordinator, self.names
        by.write("round-opened", **place, public_state="cd" * 32)
        by.write("advertisements", **place, advertisements="ef" * 32, sites=names)
        heads = []
        for site in self.sites:
            site.write("reserved", **place, plan=plan.hash().hex(), events=events)
            site.write("committed", **place, events=events)
            heads.append(site.head())
        by.write("heads", **place, heads=[head.in_ledger() for head in heads])
        self._issue(Place(run=run, round=number, attempt=0), heads)
        certificate = self._certificate(context)
        masked = {name: digest("bench/vector", context.hash, name.encode()).hex() for name in names}
        by.write(
            "certificate",
            **place,
            **certificate_body(certificate, plan.cohort),
            masked=[{"site": name, "masked": masked[name]} for name in names],
        )
        for site in self.sites:
            site.write(
                "released",
                **place,
                masked=masked[site.name],
                certificate=certificate_hash(certificate).hex(),
                survivors=names,
                events=events,
            )
        by.write("sum", **place, sum="12" * 32, events=events)
        return list(releases)

    def _issue(self, place: Place, heads: list[SignedHead]) -> None:
        by = self.coordinator
        receipt = Receipt.issue(_FEDERATION, place, heads, by.chain, by.identity).to_bytes()
        for writer in self.everybody:
            writer.receipts.append(receipt)

    def _certificate(self, context: Context) -> bytes:
        everyone = SiteSet.of(len(self.sites), range(len(self.sites)))
        full = digest("bench/full", context.hash)
        statement = survived(context.hash, full, everyone, everyone)
        return Certificate(
            ctx=context.hash,
            full=full,
            dealers=everyone,
            survivors=everyone,
            signers=everyone,
            signatures=tuple(site.identity.sign(*statement) for site in self.sites),
        ).to_bytes()
