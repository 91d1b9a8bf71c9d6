"""A federation that never ran: ledgers written by the real chain, keys, heads and certificates.

A `Story` tells what its parties did; each entry goes through `edit`, so that a test can let a party
write something else, with its own good signature, and everybody else's records fit to it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from recommons.common.audit.audit import audit
from recommons.common.audit.report import AuditReport
from recommons.common.audit.sources import Source
from recommons.common.certificates import certificate_body
from recommons.common.hashing import digest
from recommons.common.heads import COORDINATOR, Place, Receipt, SignedHead
from recommons.common.models.interface import BlockRequest
from recommons.common.peers import fingerprint
from recommons.common.plan import CataloguePin, ModelPlan, Plan, PrivacyPlan
from recommons.common.policy import Policy
from recommons.common.privacy.accounting import account
from recommons.common.privacy.calibration import calibrate
from recommons.common.privacy.events import Cohort, GaussianSumRelease, events_of_round
from recommons.common.privacy.ledger import Chain
from recommons.common.secagg.context import Context
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.messages import Certificate
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.secagg.statements import survived

Body = dict[str, Any]
Entries = list[tuple[str, Body]]
Edit = Callable[[str, str, Body], Entries | None]
"""(writer, kind, body) to the entries written instead; None for those as they are."""

FEDERATION = "orchard"
START = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


def _secret(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@lru_cache(maxsize=64)
def _specs(
    rounds: int,
    epsilon: float,
    delta: float,
    sites: int,
    survivors: int,
    colluding: int,
    spare: int,
) -> Any:
    share = 1 / (2 * rounds)
    requests = [
        [
            BlockRequest(name="sums", size=600, clip=1.0, user_peak=1.0, share=share),
            BlockRequest(name="gram", size=36, clip=1.0, user_peak=1.0, share=share),
        ]
        for _ in range(rounds)
    ]
    return calibrate(
        requests,
        epsilon=epsilon,
        delta=delta,
        cohort=Cohort(sites=sites, min_survivors=survivors, colluding=colluding),
        declared_users={f"site-{k:02d}": 100 for k in range(sites)},
        spare_attempts=spare,
    )


class Scribe:
    """One writer's ledger and receipts."""

    def __init__(self, writer: str, identity: SigningIdentity, story: "Story") -> None:
        self.writer, self.identity, self.story = writer, identity, story
        self.chain = Chain.start(writer)
        self.lines: list[bytes] = []
        self.receipts: list[bytes] = []

    def write(self, kind: str, **body: Any) -> None:
        edited = self.story.edit(self.writer, kind, dict(body))
        for kind_, body_ in [(kind, body)] if edited is None else edited:
            self.append(kind_, body_)

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        self.chain, line = self.chain.append(
            kind=kind, body=body, time=self.story.time, sign=self.identity.sign
        )
        self.lines.append(line)

    def head(self) -> SignedHead:
        return SignedHead.sign(FEDERATION, self.chain, self.identity)


class Story:
    """Sites, a coordinator, and what they did.

    Args:
        sites: How many.
        policy: Every site's, before the peers are filled in.
        edit: Changes entries as they are written.
    """

    def __init__(
        self, sites: int = 4, policy: Policy | None = None, edit: Edit = lambda *_: None
    ) -> None:
        self.edit = edit
        self.now = START
        self.names = [f"site-{k:02d}" for k in range(sites)]
        self.federation_key = SigningIdentity(_secret("federation"))
        keys = {name: SigningIdentity(_secret(name)) for name in [*self.names, COORDINATOR]}
        self.roster = Roster(
            federation=FEDERATION,
            epoch=1,
            sites=tuple(
                RosterSite(site=name, name=name, public_key=keys[name].public_key)
                for name in self.names
            ),
        )
        self.signed = self.roster.sign(self.federation_key)
        self.scribes = {name: Scribe(name, key, self) for name, key in keys.items()}
        self.coordinator = self.scribes[COORDINATOR]
        self.policies: dict[str, Policy] = {}
        for name in self.names:
            self._pin(name)
            self.set_policy(name, policy or Policy())
        self.coordinator.write("roster", **self._roster_body())
        self.runs = 0

    @property
    def time(self) -> str:
        return f"{self.now:%Y-%m-%dT%H:%M:%SZ}"

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def sites(self) -> list[Scribe]:
        return [self.scribes[name] for name in self.names]

    def _roster_body(self) -> Body:
        return {
            "roster": self.roster.hash.hex(),
            "epoch": self.roster.epoch,
            "document": json.loads(self.signed.to_bytes()),
            "federation_key": self.federation_key.public_key.hex(),
        }

    def _pin(self, name: str) -> None:
        key = self.coordinator.identity.public_key.hex() if COORDINATOR in self.scribes else ""
        accepted = "by-hand" if self.scribes[name].lines else "joined"
        self.scribes[name].write(
            "roster-accepted", **self._roster_body(), coordinator_key=key, accepted=accepted
        )

    def set_policy(self, name: str, policy: Policy) -> None:
        """A site's policy from here on; all its peers count as verified unless it names some."""
        if not policy.peers.verified:
            verified = {
                peer: fingerprint(self.roster.keys[peer]) for peer in self.names if peer != name
            }
            peers = policy.peers.model_copy(update={"verified": verified})
            policy = policy.model_copy(update={"peers": peers})
        policy = Policy.from_json(json.dumps(policy.document()))
        self.policies[name] = policy
        self.scribes[name].write(
            "policy-changed", policy=policy.hash.hex(), document=policy.document()
        )

    def plan(
        self,
        *,
        rounds: int = 2,
        epsilon: float = 4.0,
        delta: float = 1e-6,
        spare: int = 1,
        survivors: int | None = None,
        colluding: int = 1,
        model: str = "als",
    ) -> Plan:
        count = len(self.names)
        survivors = survivors or count
        specs = _specs(rounds, epsilon, delta, count, survivors, colluding, spare)
        document: dict[str, Any] = {
            "federation": FEDERATION,
            "roster_hash": self.roster.hash.hex(),
            "cohort": tuple(self.names),
            "declared_users": dict.fromkeys(self.names, 100),
            "catalogue": CataloguePin(hash="ab" * 32, items=50, inferred=False),
            "model": ModelPlan(name=model, settings={"dim": 6}),
            "privacy": PrivacyPlan(
                epsilon=epsilon,
                delta=delta,
                colluding=colluding,
                min_survivors=survivors,
                spare_attempts=spare,
            ),
            "rounds": tuple(_round_plan(spec) for spec in specs),
        }
        return Plan(**document)

    def run(
        self,
        plan: Plan | None = None,
        *,
        aborted: Sequence[tuple[int, str]] = (),
        finish: bool = True,
        refuse: Sequence[str] = (),
    ) -> "Run":
        """A whole run.

        Args:
            plan: Its plan.
            aborted: (round, step) of attempts that come to nothing before the one that succeeds;
                the step is ``"advertise"``, ``"masked"`` or ``"reveal"``.
            finish: Whether the run ends and its last heads are anchored.
            refuse: Sites that refuse the plan.
        """
        self.runs += 1
        run = Run(self, plan or self.plan(), f"{self.runs:032x}", refuse)
        for number in range(len(run.plan.rounds)):
            for step in [step for place, step in aborted if place == number]:
                run.attempt(number, until=step)
            run.attempt(number)
        if finish:
            run.finish()
        return run

    def files(self, only: Sequence[str] | None = None) -> list[Source]:
        """Everybody's ledger and receipts as an auditor gets them."""
        found = []
        for name, scribe in self.scribes.items():
            if only is not None and name not in only:
                continue
            for what, lines in (("ledger", scribe.lines), ("receipts", scribe.receipts)):
                if lines:
                    data = b"".join(line + b"\n" for line in lines)
                    found.append(Source(name=f"{name}.{what}.jsonl", data=data))
        return found

    def leave(self, folder: Path) -> None:
        """The same as files in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for source in self.files():
            (folder / source.name).write_bytes(source.data)

    def audit(self, only: Sequence[str] | None = None, **options: Any) -> AuditReport:
        return audit(self.files(only), **options)


def _round_plan(spec: Any) -> Any:
    from recommons.common.plan import RoundPlan

    return RoundPlan.model_validate_json(json.dumps(spec.to_json()))


class Run:
    """One run as it is told."""

    def __init__(self, story: Story, plan: Plan, run_id: str, refuse: Sequence[str]) -> None:
        self.story, self.plan, self.id = story, plan, run_id
        self.used: dict[int, int] = {}
        self.spent: list[GaussianSumRelease] = []
        document = json.loads(plan.to_bytes())
        fields = {"run": run_id, "plan": plan.hash().hex()}
        story.coordinator.write("plan", **fields, document=document)
        self.joined = []
        for site in story.sites:
            policy = story.policies[site.writer].hash.hex()
            if site.writer in refuse:
                reason = {"code": "policy/model", "reason": "not here"}
                site.write("plan-refused", **fields, **reason, policy=policy)
                continue
            site.write("plan-accepted", **fields, document=document, policy=policy)
            self.joined.append(site)

    def _events(self, number: int, attempt: int) -> list[Body]:
        events = events_of_round(
            self.plan.specs()[number],
            self.plan.noise_cohort(),
            round_index=number,
            attempt=attempt,
        )
        self.released = events
        return [event.to_json() for event in events]

    def attempt(self, number: int, until: str | None = None) -> None:
        """One attempt at a round, to its sum or until the named step."""
        story, attempt = self.story, self.used.get(number, 0)
        self.used[number] = attempt + 1
        story.wait(minutes=1)
        context = Context(
            federation=FEDERATION,
            run=bytes.fromhex(self.id),
            round_index=number,
            attempt=attempt,
            cohort=self.plan.cohort,
            roster_hash=story.roster.hash,
            plan_hash=self.plan.hash(),
        )
        place = {
            "run": self.id,
            "round": number,
            "attempt": attempt,
            "context": context.hash.hex(),
        }
        events = self._events(number, attempt)
        coordinator = story.coordinator
        coordinator.write("round-opened", **place, public_state="cd" * 32)
        for site in self.joined:
            site.write("reserved", **place, plan=self.plan.hash().hex(), events=events)
        if until == "advertise":
            return self._abort(place, "secagg/too-few-sites", [])
        names = [site.writer for site in self.joined]
        coordinator.write("advertisements", **place, advertisements="ef" * 32, sites=names)
        heads = []
        for site in self.joined:
            site.write("committed", **place, events=events)
            heads.append(site.head())
        self.spent += self.released
        if until == "masked":
            return self._abort(place, "secagg/quorum", events)
        coordinator.write("heads", **place, heads=[head.in_ledger() for head in heads])
        receipt = Receipt.issue(
            FEDERATION,
            Place(run=self.id, round=number, attempt=attempt),
            heads,
            coordinator.chain,
            coordinator.identity,
        ).to_bytes()
        coordinator.receipts.append(receipt)
        message = self._certificate(context, names)
        masked = {name: digest("test/vector", context.hash, name.encode()).hex() for name in names}
        coordinator.write(
            "certificate",
            **place,
            **certificate_body(message, self.plan.cohort),
            masked=[{"site": name, "masked": masked[name]} for name in names],
        )
        for site in self.joined:
            site.write(
                "released",
                **place,
                masked=masked[site.writer],
                certificate=digest("recommons/certificate/1", message).hex(),
                survivors=names,
                events=events,
            )
            site.receipts.append(receipt)
        if until == "reveal":
            return self._abort(place, "secagg/too-few-shares", events)
        coordinator.write("sum", **place, sum="12" * 32, events=events)
        return None

    def _abort(self, place: Body, code: str, events: list[Body]) -> None:
        self.story.coordinator.write("round-aborted", **place, code=code, events=events)
        for site in self.joined:
            site.write("aborted", **place, code="site/superseded")

    def _certificate(self, context: Context, names: Sequence[str]) -> bytes:
        everyone = context.everyone
        places = [self.plan.cohort.index(name) for name in names]
        joined = type(everyone).of(len(self.plan.cohort), places)
        full = digest("test/full", context.hash)
        statement = survived(context.hash, full, joined, joined)
        return Certificate(
            ctx=context.hash,
            full=full,
            dealers=joined,
            survivors=joined,
            signers=joined,
            signatures=tuple(site.identity.sign(*statement) for site in self.joined),
        ).to_bytes()

    def finish(self, claim: float | None = None) -> None:
        """The model is released, the run ends, its last heads are anchored."""
        story = self.story
        story.wait(minutes=1)
        found = account(self.spent, self.plan.privacy.delta)
        story.coordinator.write(
            "model-released",
            run=self.id,
            model="34" * 32,
            plan=self.plan.hash().hex(),
            epsilon=found.epsilon if claim is None else claim,
            delta=self.plan.privacy.delta,
            accountant=found.accountant,
        )
        self.end()

    def end(self) -> None:
        story = self.story
        for site in self.joined:
            site.write("run-ended", run=self.id, outcome="finished")
        heads = [site.head() for site in self.joined]
        story.coordinator.write(
            "run-ended",
            run=self.id,
            outcome="finished",
            heads=[head.in_ledger() for head in heads],
        )
        receipt = Receipt.issue(
            FEDERATION,
            Place(run=self.id),
            heads,
            story.coordinator.chain,
            story.coordinator.identity,
        ).to_bytes()
        for scribe in (*self.joined, story.coordinator):
            scribe.receipts.append(receipt)
