"""Rounds under drops, restarts, duplicates, delays and reordering, and under a false coordinator.

Two Hypothesis state machines. In the first everyone is honest and everything else goes wrong; a
site is played with the durability its documentation demands, and each masking adds fresh noise, so
that masking twice would show. In the second the coordinator lies about sets of sites, colluding
sites sign whatever it likes, and at most one set of survivors may ever be opened.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.messages import (
    Certificate,
    Inbox,
    MessageKind,
    Reveal,
    Survivors,
    message_context,
)
from recommons.common.secagg.outcome import Step
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.site import SiteRound
from recommons.common.secagg.statements import survived

if TYPE_CHECKING:
    from tests.common.secagg.conftest import Federation, Play

SPEC = b'{"blocks":[],"ring_bits":32}'
CLOSED = (Step.DONE, Step.ABORTED)


class Host:
    """A site as its operator runs it: state and reply are stored together before a reply leaves."""

    def __init__(self, fed: "Federation", name: str) -> None:
        self.fed = fed
        self.name = name
        self.masked: list[int] | None = None
        self.noise = 0
        self.left: dict[MessageKind, set[bytes]] = defaultdict(set)
        site, self.advertisement = fed.begin(name)
        self.state = site.to_bytes()
        self.replies: dict[bytes, bytes] = {}

    def restored(self) -> SiteRound:
        return SiteRound.from_bytes(
            self.state, roster=self.fed.roster, identity=self.fed.identities[self.name]
        )

    def answer(self, message: bytes, crash: str) -> bytes | None:
        """The reply that leaves, if one does; a crash may come before or after storing."""
        if message in self.replies:
            return self.out(self.replies[message])
        site = self.restored()
        vector = None
        try:
            reply, vector = self.taken(site, message)
        except ProtocolAbort:
            self.state = site.to_bytes()
            return None
        if crash == "before storing":
            return None
        self.state = site.to_bytes()
        self.replies[message] = reply
        self.masked = self.masked if vector is None else vector
        return None if crash == "after storing" else self.out(reply)

    def taken(self, site: SiteRound, message: bytes) -> tuple[bytes, list[int] | None]:
        kind, _ = message_context(message)
        if kind is MessageKind.KEYS:
            site.receive_keys(message, expected_spec=SPEC)
            return site.share(), None
        if kind is MessageKind.INBOX:
            site.receive_inbox(message)
            self.noise += 1
            vector = self.fed.vectors[self.name] + 1000 * self.noise
            return site.mask(vector), vector.tolist()
        if kind is MessageKind.SURVIVORS:
            return site.receive_survivors(message), None
        return site.receive_certificate(message), None

    def out(self, reply: bytes) -> bytes:
        self.left[message_context(reply)[0]].add(reply)
        return reply


def machine(federation: "type[Federation]", ends: Counter[Step]) -> type[RuleBasedStateMachine]:
    class Round(RuleBasedStateMachine):
        @initialize(sites=st.integers(3, 5), colluding=st.integers(0, 1))
        def start(self, sites: int, colluding: int) -> None:
            self.fed = federation(sites, colluding=colluding)
            self.coordinator = self.fed.coordinator()
            self.hosts = {name: Host(self.fed, name) for name in self.fed.names}
            self.down: list[tuple[str, bytes]] = []
            self.up = [(name, host.advertisement) for name, host in self.hosts.items()]
            self.result: Any = None

        @rule(data=st.data(), twice=st.booleans())
        def a_message_arrives_at_the_coordinator(self, data: st.DataObject, twice: bool) -> None:
            if self.up:
                at = data.draw(st.integers(0, len(self.up) - 1))
                name, message = self.up[at] if twice else self.up.pop(at)
                self.coordinator.receive(name, message)

        @rule()
        def all_messages_arrive_at_the_coordinator(self) -> None:
            while self.up:
                self.coordinator.receive(*self.up.pop(0))

        @rule(
            data=st.data(),
            twice=st.booleans(),
            crash=st.sampled_from(["", "", "before storing", "after storing"]),
        )
        def a_message_arrives_at_a_site(self, data: st.DataObject, twice: bool, crash: str) -> None:
            if self.down:
                at = data.draw(st.integers(0, len(self.down) - 1))
                name, message = self.down[at] if twice else self.down.pop(at)
                reply = self.hosts[name].answer(message, crash)
                if reply is not None:
                    self.up.append((name, reply))

        @rule()
        def all_messages_arrive_at_the_sites(self) -> None:
            while self.down:
                name, message = self.down.pop(0)
                reply = self.hosts[name].answer(message, "")
                if reply is not None:
                    self.up.append((name, reply))

        @rule(data=st.data())
        def a_message_is_lost(self, data: st.DataObject) -> None:
            for queue in (self.up, self.down):
                if queue:
                    queue.pop(data.draw(st.integers(0, len(queue) - 1)))

        @precondition(lambda self: self.coordinator.step not in (Step.ADVERTISE, *CLOSED))
        @rule()
        def the_coordinator_asks_again(self) -> None:
            self.down += [
                (name, self.coordinator.message_for(name)) for name in self.coordinator.awaiting
            ]

        @rule()
        def the_coordinator_restarts(self) -> None:
            self.coordinator = self.fed.resumed_coordinator(self.coordinator)

        @precondition(lambda self: self.coordinator.step not in CLOSED)
        @rule(early=st.integers(0, 9))
        def the_coordinator_closes_the_step(self, early: int) -> None:
            step = self.coordinator.step
            answered = len(self.coordinator.expected) - len(self.coordinator.awaiting)
            least = self.fed.parameters.survivors
            needed = least if step <= Step.MASKED else self.fed.parameters.quorum
            if answered < needed and early:
                return
            closes: dict[Step, Any] = {
                Step.ADVERTISE: lambda: self.coordinator.close_advertise(b"state"),
                Step.SHARES: self.coordinator.close_shares,
                Step.MASKED: self.coordinator.close_masked,
                Step.SIGNATURE: self.coordinator.close_signatures,
                Step.REVEAL: self.coordinator.finish,
            }
            try:
                opened = closes[step]()
            except ProtocolAbort:
                assert answered < needed
                return
            assert answered >= needed
            if step is Step.REVEAL:
                self.result = opened
            else:
                self.down += [(name, self.coordinator.message_for(name)) for name in opened]

        def teardown(self) -> None:
            """The network heals: whatever came before, the round now comes to an end."""
            while self.coordinator.step not in CLOSED:
                self.all_messages_arrive_at_the_sites()
                self.all_messages_arrive_at_the_coordinator()
                if self.coordinator.step is not Step.ADVERTISE and self.coordinator.awaiting:
                    self.the_coordinator_asks_again()
                    self.all_messages_arrive_at_the_sites()
                    self.all_messages_arrive_at_the_coordinator()
                self.the_coordinator_closes_the_step(early=0)
            ends[self.coordinator.step] += 1
            self.honest_sites_are_never_excluded()
            self.each_step_of_each_site_leaves_as_one_message()
            self.the_sum_is_that_of_the_vectors_that_left()

        @invariant()
        def honest_sites_are_never_excluded(self) -> None:
            if hasattr(self, "coordinator"):
                assert self.coordinator.excluded == {}

        @invariant()
        def each_step_of_each_site_leaves_as_one_message(self) -> None:
            for host in getattr(self, "hosts", {}).values():
                assert all(len(messages) == 1 for messages in host.left.values())

        @invariant()
        def the_sum_is_that_of_the_vectors_that_left(self) -> None:
            if getattr(self, "result", None) is not None:
                vectors = [self.hosts[name].masked for name in self.result.survivors]
                expected = np.sum(np.array(vectors, np.int64), axis=0)
                assert self.result.values.tolist() == expected.tolist()

    return Round


def false_coordinator(
    federation: "type[Federation]", play: "type[Play]", ends: Counter[int]
) -> type[RuleBasedStateMachine]:
    class Lies(RuleBasedStateMachine):
        @initialize(
            sites=st.integers(4, 6),
            colluding=st.integers(0, 2),
            dealers_gone=st.lists(st.sets(st.integers(2, 5), max_size=1), min_size=1, max_size=2),
            survivors_gone=st.permutations(range(6)),
            each=st.integers(1, 2),
            told=st.lists(st.integers(0, 1), min_size=6, max_size=6),
        )
        def start(
            self,
            sites: int,
            colluding: int,
            dealers_gone: list[set[int]],
            survivors_gone: list[int],
            each: int,
            told: list[int],
        ) -> None:
            colluding = min(colluding, sites - 2)
            self.fed = federation(sites, colluding=colluding)
            self.game = play(self.fed).run_to(MessageKind.INBOX)
            self.ctx = self.fed.context().hash
            self.full = self.game.coordinator._agreement.full
            self.honest = self.fed.names[colluding:]
            self.colluders = range(colluding)
            self.signatures: dict[tuple[SiteSet, SiteSet], dict[int, bytes]] = defaultdict(dict)
            self.opened: set[tuple[SiteSet, SiteSet]] = set()
            self.kinds: dict[tuple[str, int], set[bool]] = defaultdict(set)
            self.masked_against: dict[str, SiteSet] = {}
            self.told = dict(zip(self.fed.names, told, strict=False))
            self.dealers = [self.all_but(gone) for gone in dealers_gone]
            gone = [place for place in survivors_gone if place < sites]
            self.survivors = [self.all_but(set(g)) for g in (gone[:each], gone[-each:])]

        def all_but(self, gone: set[int]) -> SiteSet:
            places = range(len(self.fed.names))
            return SiteSet.of(len(places), set(places) - gone)

        @rule(data=st.data())
        def sites_are_told_some_set_of_dealers(self, data: st.DataObject) -> None:
            for name in data.draw(st.sets(st.sampled_from(self.honest), min_size=1)):
                self.inbox(name, data.draw(st.sampled_from(self.dealers)))

        @rule(data=st.data())
        def sites_are_told_some_set_of_survivors(self, data: st.DataObject) -> None:
            for name in data.draw(st.sets(st.sampled_from(self.honest), min_size=1)):
                self.propose(name, data.draw(st.sampled_from(self.survivors)))

        @rule(data=st.data())
        def sites_are_shown_some_certificate(self, data: st.DataObject) -> None:
            if self.signatures:
                dealers, survivors = data.draw(st.sampled_from(list(self.signatures)))
                for name in data.draw(st.sets(st.sampled_from(self.honest), min_size=1)):
                    self.certify(name, dealers, survivors)

        def propose(self, name: str, survivors: SiteSet) -> None:
            # A clever liar asks each site for a set that it will not refuse at once.
            dealers = self.masked_against.get(name)
            if dealers is None or not survivors <= dealers:
                return
            message = Survivors(ctx=self.ctx, dealers=dealers, survivors=survivors)
            reply = self.attempt(name, "receive_survivors", message.to_bytes())
            if reply is not None:
                place = self.fed.names.index(name)
                self.signatures[dealers, survivors][place] = reply[-64:]

        def certify(self, name: str, dealers: SiteSet, survivors: SiteSet) -> None:
            """With every signature there is, and those that colluding sites give to anything."""
            if self.game.sites[name].phase != "signed":
                return
            signatures = dict(self.signatures[dealers, survivors])
            statement = survived(self.ctx, self.full, dealers, survivors)
            for place in self.colluders:
                if place in survivors:
                    identity = self.fed.identities[self.fed.names[place]]
                    signatures[place] = identity.sign(*statement)
            certificate = Certificate(
                ctx=self.ctx,
                full=self.full,
                dealers=dealers,
                survivors=survivors,
                signers=SiteSet.of(len(self.fed.names), signatures),
                signatures=tuple(signatures[i] for i in sorted(signatures)),
            )
            reply = self.attempt(name, "receive_certificate", certificate.to_bytes())
            if reply is not None:
                found = Reveal.from_bytes(reply)
                self.opened.add((found.dealers, found.survivors))
                for place in found.dealers:
                    self.kinds[name, place].add(place in found.survivors)

        def inbox(self, name: str, dealers: SiteSet) -> None:
            honest = Inbox.from_bytes(self.game.coordinator.message_for(name))
            chosen = {place for place, _ in honest.by_place()} & set(dealers)
            entries = tuple(entry for place, entry in honest.by_place() if place in chosen)
            message = replace(honest, dealers=dealers, entries=entries)
            if self.attempt(name, "receive_inbox", message.to_bytes()) is not None:
                self.game.sites[name].mask(self.fed.vectors[name])
                self.masked_against[name] = dealers

        def attempt(self, name: str, method: str, message: bytes) -> bytes | None:
            try:
                reply: bytes | None = getattr(self.game.sites[name], method)(message)
            except ProtocolAbort:
                return None
            return reply or b""

        def teardown(self) -> None:
            """The liar goes through with every set it ever proposed, as far as sites let it."""
            for name in self.honest:
                self.inbox(name, self.dealers[0])
                preferred = self.survivors[self.told[name]]
                other = self.survivors[1 - self.told[name]]
                self.propose(name, preferred if self.fed.names.index(name) in preferred else other)
            for dealers, survivors in list(self.signatures):
                for place in list(self.signatures[dealers, survivors]):
                    self.certify(self.fed.names[place], dealers, survivors)
            ends[len(self.opened)] += 1
            self.at_most_one_set_is_opened()
            self.what_is_opened_is_large_enough_and_was_masked_as_one()
            self.no_site_shows_both_kinds_of_share()

        @invariant()
        def at_most_one_set_is_opened(self) -> None:
            assert len(getattr(self, "opened", ())) <= 1

        @invariant()
        def what_is_opened_is_large_enough_and_was_masked_as_one(self) -> None:
            for dealers, survivors in getattr(self, "opened", ()):
                assert len(survivors) >= self.fed.parameters.survivors
                agreeing = self.signatures[dealers, survivors]
                assert len(agreeing) + len(self.colluders) >= self.fed.parameters.quorum

        @invariant()
        def no_site_shows_both_kinds_of_share(self) -> None:
            assert all(len(kinds) == 1 for kinds in getattr(self, "kinds", {}).values())

    return Lies


def run(found: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        found,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_round_is_exact_or_aborts_whatever_is_lost_repeated_delayed_or_restarted(
    federation: "type[Federation]",
) -> None:
    ends: Counter[Step] = Counter()
    run(machine(federation, ends), examples=50, steps=40)
    assert ends[Step.DONE] > 10
    assert ends[Step.ABORTED] > 10


def test_a_false_coordinator_opens_at_most_one_set_of_survivors(
    federation: "type[Federation]", play: "type[Play]"
) -> None:
    ends: Counter[int] = Counter()
    run(false_coordinator(federation, play, ends), examples=50, steps=15)
    assert set(ends) == {0, 1}
    assert ends[1] > 10
