"""The coordinator's seat before three real sites, on one disk, with a clock that tests set."""

import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recommons.client.budgets.keys import KeyedHash
from recommons.client.enrolment import accept_federation, write_policy
from recommons.client.rounds.answering import answer
from recommons.client.site import Site
from recommons.client.sources import load_dataset
from recommons.common.errors import RecommonsError
from recommons.common.federation import Federation, sign_announcement
from recommons.common.hashing import canonical_json
from recommons.common.heads import heads_to_bytes
from recommons.common.models.interface import FederatedModel, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.models.state import arrays_to_bytes
from recommons.common.plan import Plan
from recommons.common.policy import Policy
from recommons.common.policy_file import policy_from_toml
from recommons.common.privacy.ledger import split_lines, verify_chain
from recommons.common.secagg.context import Context
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.roster import Roster
from recommons.common.wire import Envelope, Exchange, Outcome, pack, unpack
from recommons.server.planning.wish import Wish, make_plan, specs_for
from recommons.server.records.folder import CoordinatorFolder
from recommons.simulations.founding import Found, found_federation

SITES = ("site-0", "site-1", "site-2")
OWN = SITES[0]
"""The site that tests look at."""
START = 1_800_000_000
DAY = 86_400
RUN = b"run-number-zero!"
STATE = arrays_to_bytes({})
"""The public state of round 0."""

_WISH = Wish(epsilon=8.0, delta=1e-5, colluding=1, min_survivors=3)
_EACH = 6
_DECLARED = dict.fromkeys(SITES, 10)


def coordinator_round(
    plan: Plan, roster: Roster, run: bytes, round_: int = 0, attempt: int = 0
) -> CoordinatorRound:
    """The coordinator's side of one attempt, as the plan has it."""
    spec = plan.specs()[round_]
    context = Context(
        federation=plan.federation,
        run=run,
        round_index=round_,
        attempt=attempt,
        cohort=plan.cohort,
        roster_hash=roster.hash,
        plan_hash=plan.hash(),
    )
    return CoordinatorRound(
        context=context,
        parameters=plan.parameters(),
        shape=VectorShape(size=spec.size, bits=spec.ring_bits),
        spec=canonical_json(spec.to_json()),
        roster=roster,
    )


class Seat:
    """Speaks to the sites without any transport, and keeps every reply that left one."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.now = float(START)
        self.left: list[tuple[str, Exchange, bytes, bytes]] = []
        self.plans: dict[bytes, Plan] = {}

    @classmethod
    def take(cls, folder: Path, data: Path, wish: Wish = _WISH, rounds: int = 2) -> "Seat":
        """Found a federation of three sites of six users each."""
        dataset = load_dataset(data)
        own_users = {site: np.arange(k, 3 * _EACH, 3) for k, site in enumerate(SITES)}
        model = _model(dataset, wish, rounds)
        return cls(found_federation(folder, dataset, own_users, _DECLARED, model, wish))

    @classmethod
    def reopened(cls, folder: Path) -> "Seat":
        """Sit down before a copy of a founded federation."""
        coordinator = CoordinatorFolder.open(folder / "coordinator")
        return cls(Found(coordinator=coordinator, sites={s: folder / "sites" / s for s in SITES}))

    def plan(self, data: Path, *, rounds: int = 2, **changes: Any) -> Plan:
        """Another plan for the same federation."""
        wish, dataset = dataclasses.replace(_WISH, **changes), load_dataset(data)
        model = _model(dataset, wish, rounds)
        specs = specs_for(model, _DECLARED, wish)
        roster = self.found.coordinator.federation.roster
        return make_plan(model, dataset.catalogue, roster, _DECLARED, wish, specs)

    def later_epoch(self, sites: Sequence[str] = SITES) -> Roster:
        """The next epoch of the same roster, under another federation key; the sites pin it."""
        pinned, key = self.found.coordinator.federation, SigningIdentity(secrets.token_bytes(32))
        roster = Roster(federation=pinned.roster.federation, epoch=2, sites=pinned.roster.sites)
        federation = Federation(
            signed_roster=roster.sign(key),
            federation_key=key.public_key,
            coordinator_key=pinned.coordinator_key,
        )
        for site in sites:
            accept_federation(self.found.sites[site], federation)
        return roster

    def open(self, site: str = OWN) -> Site:
        return Site.open(self.found.sites[site], clock=lambda: self.now)

    def ask(
        self, site: str, exchange: Exchange, body: bytes = b"", run: bytes = RUN, **place: int
    ) -> bytes:
        with self.open(site) as opened:
            envelope = Envelope(run_id=run, exchange=exchange, **place)
            reply = answer(opened, envelope, body)
        self.left.append((site, exchange, run, reply))
        return reply

    def refused(
        self, site: str, exchange: Exchange, body: bytes = b"", run: bytes = RUN, **place: int
    ) -> str:
        """The code under which the site refuses; nothing but that has left."""
        before = list(self.left)
        try:
            self.ask(site, exchange, body, run, **place)
        except RecommonsError as error:
            assert self.left == before
            return error.code
        raise AssertionError(f"{site} answered {exchange}")

    def announcement(self, plan: Plan | None = None, run: bytes = RUN) -> bytes:
        plan = plan or self.plans.get(run) or self.found.coordinator.plan
        self.plans[run] = plan
        signed = sign_announcement(plan, run, self.found.coordinator.identity)
        return pack(signed, heads_to_bytes([]))

    def join(
        self, plan: Plan | None = None, run: bytes = RUN, sites: Sequence[str] = SITES
    ) -> None:
        for site in sites:
            self.ask(site, "join", self.announcement(plan, run), run)

    def protocol(self, run: bytes = RUN, round_: int = 0, attempt: int = 0) -> CoordinatorRound:
        roster = self.found.coordinator.federation.roster
        return coordinator_round(self.plans[run], roster, run, round_, attempt)

    def to_masked(self, run: bytes = RUN, attempt: int = 0) -> CoordinatorRound:
        """Play round 0 honestly until ``masked`` comes next."""
        protocol = self.protocol(run, attempt=attempt)
        for site in protocol.expected:
            protocol.receive(site, self.ask(site, "advertise", run=run, attempt=attempt))
        protocol.close_advertise(STATE)
        for site in protocol.expected:
            body = protocol.message_for(site)
            protocol.receive(site, self.ask(site, "shares", body, run, attempt=attempt))
        protocol.close_shares()
        return protocol

    def mask(self, protocol: CoordinatorRound, site: str = OWN, run: bytes = RUN) -> bytes:
        """The site's masked vector."""
        attempt = protocol.context.attempt
        reply = self.ask(site, "masked", protocol.message_for(site), run, attempt=attempt)
        return unpack(reply, 2)[0]

    def finish(self, run: bytes = RUN, sites: Sequence[str] = SITES) -> None:
        for site in sites:
            self.ask(site, "finish", Outcome().to_bytes(), run)

    def policy(self, site: str = OWN) -> Policy:
        return policy_from_toml((self.found.sites[site] / "policy.toml").read_bytes())

    def edit(self, site: str = OWN, **tables: Mapping[str, Any]) -> None:
        """Edit the site's policy file as its operator would, e.g. ``budget={"epsilon": 4.0}``."""
        document = self.policy(site).document()
        for table, values in tables.items():
            document[table] = document[table] | dict(values)
        policy = Policy.from_json(canonical_json(document))
        write_policy(self.found.sites[site], policy)

    def ledger(self, site: str = OWN) -> list[tuple[str, Any]]:
        """Kind and body of every entry, the chain verified."""
        lines = split_lines((self.found.sites[site] / "ledger.jsonl").read_bytes())
        key = self.found.coordinator.federation.roster.keys[site]
        return [(entry.kind, entry.body) for entry in verify_chain(lines, key, writer=site)]

    def users(self, site: str = OWN) -> list[str]:
        events = pl.read_parquet(self.found.sites[site] / "events.parquet")
        return sorted(events["user_id"].unique().to_list())

    def names(self, site: Site, places: np.ndarray[Any, Any]) -> list[str]:
        """Who the users at these places among a site's own are."""
        with site.store.transaction() as transaction:
            hashed = KeyedHash(site.store.budgets.secret(transaction))
        known = {hashed(user): user for user in self.users(site.id)}
        keys = site.own_users().keys[places].astype(">u8")
        return [known[key.tobytes()] for key in keys]

    def set_users(self, users: Sequence[str], site: str = OWN) -> None:
        """Let the site's data hold these users, each with two events."""
        rows = [(user, item) for user in users for item in ("i00", "i21")]
        frame = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
        frame.write_parquet(self.found.sites[site] / "events.parquet")


def _model(dataset: Any, wish: Wish, rounds: int) -> FederatedModel:
    figures = PublicFigures(
        declared_users=_DECLARED, n_items=len(dataset.catalogue), epsilon=wish.epsilon
    )
    if rounds == 1:
        return build_model("ease", dataset.catalogue, figures)
    return build_model("als", dataset.catalogue, figures, dim=2, seed=0)
