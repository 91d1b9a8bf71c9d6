"""Sites with real folders under drops, restarts, reordering, duplication, delay and split views."""

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection

from recommons.client.records.store import SiteStore
from recommons.common.errors import ProtocolAbort, RecommonsError
from recommons.common.privacy.ledger import split_lines, verify_chain
from recommons.common.secagg.derivation import OPENING_BYTES
from recommons.common.secagg.messages import Inbox, Reveal, Survivors
from recommons.common.secagg.outcome import Step
from recommons.common.wire import Exchange
from recommons.simulations.attacks import SITES, Ground
from recommons.simulations.attacks.on_shares import inbox_without
from recommons.simulations.attacks.stage import STEPS, Stage

ONE = 1 << 20
some_site = st.sampled_from(SITES)
# One site may be missing in the end; two make the attempt fail.
some_fault = st.sampled_from(["none", "drop", "lose", "power", "restart"])
few_sites = st.lists(some_site, max_size=1) | st.lists(some_site, max_size=2)
Request = tuple[str, Exchange, int, bytes]


class PowerCut(Exception):
    """The process is gone."""


@contextmanager
def power_cut(store: SiteStore) -> Iterator[None]:
    """The next transaction that changes an attempt is lost just before it is durable."""
    begin = store.transaction

    @contextmanager
    def cut() -> Iterator[Connection]:
        with begin() as connection:
            before = connection.connection.dbapi_connection.total_changes  # type: ignore[union-attr]
            yield connection
            if connection.connection.dbapi_connection.total_changes > before:  # type: ignore[union-attr]
                raise PowerCut

    store.transaction = cut  # type: ignore[method-assign]
    try:
        yield
    finally:
        del store.transaction


class Sites(RuleBasedStateMachine):
    """A coordinator that is honest, forgetful or split, before sites that crash."""

    ground: Ground
    place: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.place))
        self.attempt = 0
        self.requests: list[Request] = []
        self.left: dict[tuple[str, Exchange, int], set[bytes]] = defaultdict(set)
        self.opened: dict[int, tuple[str, ...]] = {}

    @initialize(before=st.sampled_from(STEPS))
    def begin(self, before: Exchange) -> None:
        """Not every example has to play the first steps again."""
        self.stage: Stage = self.ground.stage(self.folder / "stage", before=before)
        self.protocol = self.stage.honest
        for said in self.stage.said:
            if said.exchange != "join":
                self.requests.append((said.site, said.exchange, 0, said.request))
                self.left[said.site, said.exchange, 0].add(said.reply)

    # What the coordinator does.

    @property
    def running(self) -> bool:
        return self.protocol.step not in (Step.DONE, Step.ABORTED)

    @property
    def exchange(self) -> Exchange:
        return STEPS[self.protocol.step // 2]

    def request(self, site: str) -> Request:
        body = b"" if self.exchange == "advertise" else self.protocol.message_for(site)
        return (site, self.exchange, self.attempt, body)

    def ask(self, request: Request) -> bytes | None:
        """Send a request; None where it is refused."""
        site, exchange, attempt, body = request
        self.requests.append(request)
        try:
            reply = self.stage.ask(site, exchange, body, attempt=attempt)
        except RecommonsError:
            return None
        self.left[site, exchange, attempt].add(reply)
        return reply

    @precondition(lambda self: self.running)
    @rule(faults=st.lists(st.tuples(some_site, some_fault), max_size=3))
    def to_the_end(self, faults: list[tuple[str, str]]) -> None:
        """All steps that are left; a fault in some of them."""
        for site, fault in [*faults, *[("", "none")] * 5]:
            if not self.running:
                return
            if fault == "power":
                self.power_fails(site)
            if fault == "restart":
                self.stage.restart(site)
            self.step([site] if fault == "drop" else [], [site] if fault == "lose" else [])

    @precondition(lambda self: self.running)
    @rule(drops=few_sites, lost=few_sites)
    def step(self, drops: list[str], lost: list[str]) -> None:
        """A step to its deadline: some sites are not reached, the answers of others are lost."""
        for site in self.protocol.awaiting:
            request = self.request(site)
            if site in drops:
                self.requests.append(request)
                continue
            reply = self.ask(request)
            if reply is not None and site not in lost:
                self.protocol.receive(site, reply)
        self.close()

    @precondition(lambda self: self.running)
    @rule(site=some_site)
    def one_answer(self, site: str) -> None:
        """One site is asked, and the step stays open."""
        if site in self.protocol.awaiting:
            reply = self.ask(self.request(site))
            if reply is not None:
                self.protocol.receive(site, reply)

    def close(self) -> None:
        try:
            if self.protocol.step is Step.REVEAL:
                result = self.protocol.finish()
                hot = {SITES.index(site) for site in result.survivors}
                assert result.values.tolist() == [ONE if k in hot else 0 for k in range(6)]
                assert self.attempt not in self.opened
                self.opened[self.attempt] = result.survivors
            else:
                self.stage.close(self.protocol)
        except ProtocolAbort:
            assert self.protocol.step is Step.ABORTED

    @precondition(lambda self: not self.running or self.exchange in ("masked", "reveal"))
    @rule()
    def new_attempt(self) -> None:
        """After the end of one, or in the middle of it."""
        self.attempt += 1
        self.protocol = self.stage.protocol(attempt=self.attempt)

    @rule()
    def coordinator_restarts(self) -> None:
        self.protocol = self.stage.resumed(self.protocol)

    # What the network and the power do.

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def again_or_late(self, data: st.DataObject) -> None:
        """Any request ever made, answered or not, arrives (again) now."""
        request = data.draw(st.sampled_from(self.requests), "request")
        reply = self.ask(request)
        if reply is not None and request[2] == self.attempt and self.running:
            self.protocol.receive(request[0], reply)

    @rule(site=some_site)
    def restart(self, site: str) -> None:
        self.stage.restart(site)

    @precondition(lambda self: self.running)
    @rule(site=some_site)
    def power_fails(self, site: str) -> None:
        """The site dies while it answers, before anything is durable; then it is back."""
        if site in self.protocol.awaiting:
            request = self.request(site)
            with power_cut(self.stage.sites[site].store):
                try:
                    reply = self.ask(request)
                except PowerCut:
                    reply = None
            # A stored reply needs no write, so it may be given even now.
            known = self.left[site, request[1], self.attempt]
            assert reply is None or len(known) == 1
            self.stage.restart(site)

    # What a coordinator does that shows sites different things.

    @precondition(lambda self: self.running and self.protocol.step is Step.MASKED)
    @rule(site=some_site, without=some_site)
    def other_inbox(self, site: str, without: str) -> None:
        if site in self.protocol.expected and site != without:
            inbox = Inbox.from_bytes(self.protocol.message_for(site))
            other = inbox_without(inbox, SITES.index(without)).to_bytes()
            self.ask((site, "masked", self.attempt, other))

    @precondition(lambda self: self.running and self.protocol.step is Step.SIGNATURE)
    @rule(site=some_site, without=some_site)
    def other_survivors(self, site: str, without: str) -> None:
        if site in self.protocol.expected:
            message = Survivors.from_bytes(self.protocol.message_for(site))
            other = replace(message, survivors=message.survivors.without(SITES.index(without)))
            self.ask((site, "sign", self.attempt, other.to_bytes()))

    # What must hold.

    @invariant()
    def nothing_is_computed_twice(self) -> None:
        for (site, exchange, attempt), replies in self.left.items():
            assert len(replies) <= 1, (site, exchange, attempt)

    @invariant()
    def every_vector_that_left_is_charged(self) -> None:
        charged = Counter(
            site for (site, exchange, _), left in self.left.items() if left and exchange == "masked"
        )
        for site, opened in self.stage.sites.items():
            with opened.store.transaction() as transaction:
                run = opened.store.run(transaction, self.stage.run_id)
            assert run is not None
            assert run.opened.get(0, 0) >= charged[site]

    @invariant()
    def at_most_one_attempt_holds_secrets_at_a_site(self) -> None:
        for site in self.stage.sites.values():
            with site.store.transaction() as transaction:
                assert len(site.store.open_attempts(transaction, self.stage.run_id)) <= 1

    def teardown(self) -> None:
        try:
            for site in SITES:
                self.stage.ask(site, "finish")
                traces = self.stage.traces[site]
                assert traces.left(traces.seen - self.revealed(site)) == 0
                self.check_ledger(site)
        finally:
            self.stage.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    def revealed(self, site: str) -> set[bytes]:
        """What the site has revealed, and so may keep as its reply."""
        replies = [
            reply
            for (name, exchange, _), found in self.left.items()
            for reply in found
            if (name, exchange) == (site, "reveal")
        ]
        openings = [Reveal.from_bytes(reply).openings for reply in replies]
        starts = [(o, k) for o in openings for k in range(0, len(o), OPENING_BYTES)]
        return {o[k : k + OPENING_BYTES] for o, k in starts}

    def check_ledger(self, site: str) -> None:
        data = (self.stage.found.sites[site] / "ledger.jsonl").read_bytes()
        entries = verify_chain(split_lines(data), self.stage.roster.keys[site], writer=site)
        by_kind: dict[str, set[int]] = defaultdict(set)
        for entry in entries:
            if "attempt" in entry.body:
                by_kind[entry.kind].add(entry.body["attempt"])
        for (name, exchange, attempt), replies in self.left.items():
            if name == site and replies and exchange == "masked":
                assert attempt in by_kind["committed"]
                assert attempt in by_kind["reserved"]
            if name == site and replies and exchange == "reveal":
                assert attempt in by_kind["released"]


def test_no_order_of_crashes_makes_a_site_say_two_things_or_a_sum_wrong() -> None:
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        Sites.place = Path(name)
        Sites.ground = Ground.found(Path(name) / "ground")
        run_state_machine_as_test(
            Sites, settings=settings(max_examples=30, stateful_step_count=10, deadline=None)
        )
