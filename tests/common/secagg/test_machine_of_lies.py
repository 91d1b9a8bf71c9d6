"""A false coordinator before honest sites that crash: at most one sum is opened, ever.

A Hypothesis state machine. The coordinator shows sites different sets of dealers and of survivors,
colluding sites sign whatever it likes, every site wakes from its stored state for each message and
may lose power before or after storing. Whatever the order, no site lets two signatures, or two
reveals, or two masked vectors leave, and no two sets of survivors are opened.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from recommons.common.secagg.messages import (
    Certificate,
    Inbox,
    MessageKind,
    Reveal,
    Survivors,
)
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.statements import survived
from tests.common.secagg.hosts import CRASHES, Host

if TYPE_CHECKING:
    from tests.common.secagg.conftest import Federation

some_crash = st.sampled_from(["", "", *CRASHES])
ONCE = (MessageKind.SHARES, MessageKind.MASKED, MessageKind.SIGNATURE, MessageKind.REVEAL)
Sets = tuple[SiteSet, SiteSet]


def false_coordinator(
    federation: "type[Federation]", seen: Counter[object]
) -> type[RuleBasedStateMachine]:
    class Lies(RuleBasedStateMachine):
        @initialize(
            sites=st.integers(4, 6),
            colluding=st.integers(0, 2),
            dealers_gone=st.just([set()])
            | st.lists(st.sets(st.integers(2, 5), max_size=1), min_size=2, max_size=2),
            survivors_gone=st.permutations(range(6)),
            each=st.sampled_from([1, 1, 2]),
            told=st.just([0] * 6) | st.lists(st.integers(0, 1), min_size=6, max_size=6),
            crash=st.sampled_from(CRASHES),
            confuse=st.booleans(),
        )
        def start(
            self,
            sites: int,
            colluding: int,
            dealers_gone: list[set[int]],
            survivors_gone: list[int],
            each: int,
            told: list[int],
            crash: str,
            confuse: bool,
        ) -> None:
            colluding = min(colluding, sites - 2)
            self.fed = federation(sites, colluding=colluding)
            self.ctx = self.fed.context().hash
            self.hosts = {name: Host(self.fed, name) for name in self.fed.names}
            self.play_to_the_inbox()
            self.honest = self.fed.names[colluding:]
            self.colluders = range(colluding)
            self.signatures: dict[Sets, dict[int, bytes]] = defaultdict(dict)
            self.opened: set[Sets] = set()
            self.kinds: dict[tuple[str, int], set[bool]] = defaultdict(set)
            self.masked_against: dict[str, SiteSet] = {}
            self.sent: list[tuple[str, bytes]] = []
            self.told = dict(zip(self.fed.names, told, strict=False))
            self.last_crash, self.confuse = crash, confuse
            self.dealers = [self.all_but(gone) for gone in dealers_gone]
            gone = [place for place in survivors_gone if place < sites]
            self.survivors = [self.all_but(set(g)) for g in (gone[:each], gone[-each:])]

        def play_to_the_inbox(self) -> None:
            self.coordinator = self.fed.coordinator()
            for name, host in self.hosts.items():
                self.coordinator.receive(name, host.advertisement)
            for name in self.coordinator.close_advertise(b"state"):
                reply = self.hosts[name].answer(self.coordinator.message_for(name))
                assert reply is not None
                self.coordinator.receive(name, reply)
            self.coordinator.close_shares()
            self.full = self.coordinator._agreement.full

        def all_but(self, gone: set[int]) -> SiteSet:
            places = range(len(self.fed.names))
            return SiteSet.of(len(places), set(places) - gone)

        @rule(data=st.data(), crash=some_crash)
        def sites_are_told_some_set_of_dealers(self, data: st.DataObject, crash: str) -> None:
            for name in sorted(data.draw(st.sets(st.sampled_from(self.honest), min_size=1))):
                self.inbox(name, data.draw(st.sampled_from(self.dealers)), crash)

        @rule(data=st.data(), crash=some_crash)
        def sites_are_told_some_set_of_survivors(self, data: st.DataObject, crash: str) -> None:
            for name in sorted(data.draw(st.sets(st.sampled_from(self.honest), min_size=1))):
                self.propose(name, data.draw(st.sampled_from(self.survivors)), crash)

        @rule(data=st.data(), crash=some_crash)
        def sites_are_shown_some_certificate(self, data: st.DataObject, crash: str) -> None:
            if self.signatures:
                dealers, survivors = data.draw(st.sampled_from(list(self.signatures)))
                for name in sorted(data.draw(st.sets(st.sampled_from(self.honest), min_size=1))):
                    self.certify(name, dealers, survivors, crash)

        @rule(data=st.data())
        def an_old_message_comes_again(self, data: st.DataObject) -> None:
            if self.sent:
                name, message = data.draw(st.sampled_from(self.sent))
                self.deliver(name, message, "")

        def deliver(self, name: str, message: bytes, crash: str) -> bytes | None:
            host = self.hosts[name]
            self.sent.append((name, message))
            seen["again"] += message in host.replies
            before, codes = host.crashes.copy(), len(host.codes)
            reply = host.answer(message, crash)
            seen.update(host.crashes - before)
            seen.update(host.codes[codes:])
            return reply

        def inbox(self, name: str, dealers: SiteSet, crash: str = "") -> None:
            honest = Inbox.from_bytes(self.coordinator.message_for(name))
            chosen = {place for place, _ in honest.by_place()} & set(dealers)
            entries = tuple(entry for place, entry in honest.by_place() if place in chosen)
            message = replace(honest, dealers=dealers, entries=entries)
            if self.deliver(name, message.to_bytes(), crash) is not None:
                self.masked_against[name] = dealers

        def propose(self, name: str, survivors: SiteSet, crash: str = "") -> None:
            # A clever liar asks each site for a set that it will not refuse at once.
            dealers = self.masked_against.get(name)
            if dealers is None or not survivors <= dealers:
                return
            message = Survivors(ctx=self.ctx, dealers=dealers, survivors=survivors)
            reply = self.deliver(name, message.to_bytes(), crash)
            if reply is not None:
                place = self.fed.names.index(name)
                self.signatures[dealers, survivors][place] = reply[-64:]

        def certify(self, name: str, dealers: SiteSet, survivors: SiteSet, crash: str = "") -> None:
            """With every signature there is, and those that colluding sites give to anything."""
            if self.hosts[name].phase not in ("signed", "revealed"):
                return
            signatures = dict(self.signatures[dealers, survivors])
            statement = survived(self.ctx, self.full, dealers, survivors)
            for place in self.colluders:
                if place in survivors:
                    identity = self.fed.identities[self.fed.names[place]]
                    signatures[place] = identity.sign(*statement)
            shown = sorted(signatures)
            if len(self.sent) % 2 and len(shown) > self.fed.parameters.quorum:
                shown.pop()  # so that a second one is another message
            certificate = Certificate(
                ctx=self.ctx,
                full=self.full,
                dealers=dealers,
                survivors=survivors,
                signers=SiteSet.of(len(self.fed.names), shown),
                signatures=tuple(signatures[i] for i in shown),
            )
            reply = self.deliver(name, certificate.to_bytes(), crash)
            if reply is not None:
                found = Reveal.from_bytes(reply)
                self.opened.add((found.dealers, found.survivors))
                for place in found.dealers:
                    self.kinds[name, place].add(place in found.survivors)

        def teardown(self) -> None:
            """The liar goes through with every set it ever proposed, as far as sites let it."""
            for name in self.honest:
                self.inbox(name, self.dealers[0])
                preferred = self.survivors[self.told[name]]
                other = self.survivors[1 - self.told[name]]
                chosen = preferred if self.fed.names.index(name) in preferred else other
                for crash in (self.last_crash, ""):
                    self.propose(name, chosen, crash)
            if self.confuse and len(self.honest) > self.fed.parameters.survivors:
                self.propose(self.honest[-1], other)
            if self.confuse:
                for sets in list(self.signatures)[-1:]:
                    self.certify(self.honest[0], *sets)
            for crash in (self.last_crash, ""):
                for dealers, survivors in list(self.signatures):
                    for place in list(self.signatures[dealers, survivors]):
                        self.certify(self.fed.names[place], dealers, survivors, crash)
            for name in self.honest:
                for dealers, survivors in list(self.signatures):
                    self.certify(name, dealers, survivors)
            seen["opened", len(self.opened)] += 1
            seen["two sets proposed"] += len(self.signatures) > 1
            self.at_most_one_set_is_opened()
            self.what_is_opened_is_large_enough_and_was_masked_as_one()
            self.no_site_shows_both_kinds_of_share()
            self.no_site_says_two_things()
            self.who_gave_up_or_revealed_holds_no_secret()

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

        @invariant()
        def no_site_says_two_things(self) -> None:
            for host in getattr(self, "hosts", {}).values():
                assert all(len(host.left[kind]) <= 1 for kind in ONCE)

        @invariant()
        def who_gave_up_or_revealed_holds_no_secret(self) -> None:
            for host in getattr(self, "hosts", {}).values():
                if host.phase in ("aborted", "revealed"):
                    assert host.secrets_left() == 0

    return Lies


REACHED: list[object] = [
    ("opened", 0),
    ("opened", 1),
    "two sets proposed",
    "again",
    "secagg/second-inbox",
    "secagg/second-survivors",
    "secagg/second-certificate",
    "secagg/quorum",
    "secagg/other-set",
    *(
        (crash, kind)
        for crash in CRASHES[1:]
        for kind in (MessageKind.INBOX, MessageKind.SURVIVORS, MessageKind.CERTIFICATE)
    ),
]


def test_a_false_coordinator_opens_at_most_one_set_whatever_the_order_of_crashes(
    federation: "type[Federation]",
) -> None:
    seen: Counter[object] = Counter()
    run_state_machine_as_test(
        false_coordinator(federation, seen),
        settings=settings(
            max_examples=100,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert [what for what in REACHED if not seen[what]] == []
    assert seen["opened", 1] > 10
