"""No sequence of plans, rounds, crashes, clock steps and policy edits spends beyond the caps.

The model in this file adds up what was released about every user, by its own formulas: μ² of a
release from the numbers in the plan, and ε from μ² by the Gaussian mechanism's own equation
(Balle and Wang 2018, Theorem 8). It knows nothing of groups, histories and reservations.
"""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from math import exp, sqrt
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scipy.optimize import brentq
from scipy.stats import norm
from sqlalchemy import event
from sqlalchemy.engine import Engine

from recommons.client.budgets.charging import commit_attempt, participants
from recommons.client.budgets.groups import ACTIVE, FORGOTTEN, OPTED_OUT
from recommons.client.budgets.keys import KeyedHash
from recommons.common.errors import RecommonsError
from recommons.common.plan import Plan
from recommons.common.privacy.accounting import spending_of
from recommons.common.privacy.events import events_of_round
from tests.client.seat import DAY, OWN, START, Seat

USERS = [f"user-{k}" for k in range(5)]
PLANS = (2.0, 3.5, 5.0, 7.5)
"""ε of plans of one round and one spare attempt, each half of the plan's μ²."""


CHANGES = st.one_of(
    st.tuples(st.just("clock"), st.sampled_from([-400, -1, 1, 29, 200, 366])),
    st.tuples(
        st.just("policy"),
        st.sampled_from([3.0, 5.0, 8.0, 8.0, 12.0, "unlimited"]),
        st.sampled_from([0, 1, 30, 365]),
        st.sampled_from(["leave-users-out", "leave-users-out", "refuse"]),
    ),
    st.tuples(
        st.just("standing"),
        st.sampled_from(USERS),
        st.sampled_from([ACTIVE, OPTED_OUT, FORGOTTEN]),
    ),
    st.tuples(st.just("data"), st.sets(st.sampled_from(USERS), min_size=3).map(sorted)),
)
"""The clock, the policy, one user's standing, the users in the data."""


class Crash(Exception):
    """The process is gone at this statement."""


class Crashing:
    """Ends what runs at its k-th statement, as a power cut would: what is open is rolled back."""

    def __init__(self) -> None:
        self.left: int | None = None

    def arm(self, statements: int | None) -> None:
        self.left = statements

    def __call__(self, *_arguments: Any) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash


def mu_squared(plan: Plan) -> float:
    """Σ over blocks of (S / (√(M - c)·s))²."""
    shares = plan.privacy.min_survivors - plan.privacy.colluding
    blocks = plan.rounds[0].blocks
    return sum((b.sensitivity / b.noise_stddev) ** 2 / shares for b in blocks)


def epsilon(total: float, delta: float) -> float:
    """ε of the Gaussian mechanism with this μ²."""
    if total == 0:
        return 0.0
    mu = sqrt(total)

    def excess(eps: float) -> float:
        return float(norm.cdf(mu / 2 - eps / mu) - exp(eps) * norm.cdf(-mu / 2 - eps / mu) - delta)

    return float(brentq(excess, 0, 400)) if excess(0) > 0 else 0.0


class Budgets(RuleBasedStateMachine):
    ground: Path
    data: Path
    plans: list[Plan]

    @initialize()
    def found(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=self.ground.parent))
        shutil.copytree(self.ground, self.folder / "run")
        self.seat = Seat.reopened(self.folder / "run")
        self.crashing = Crashing()
        event.listen(Engine, "before_cursor_execute", self.crashing)
        self.clock = float(START)
        self.caps: dict[str, Any] = {}
        self.runs: list[bytes] = []
        self.attempts: dict[bytes, int] = defaultdict(int)
        self.released: dict[str, list[tuple[float, float, bytes]]] = defaultdict(list)
        self.out: set[str] = set()
        self.seat.set_users(USERS[:3])
        self.edit(8.0, 365, "leave-users-out")

    def teardown(self) -> None:
        if hasattr(self, "crashing"):
            event.remove(Engine, "before_cursor_execute", self.crashing)
            shutil.rmtree(self.folder)

    def survives(self, crash_at: int | None, step: Any) -> bool:
        """Run a step that may crash or be refused; whether it was carried out."""
        self.crashing.arm(crash_at)
        try:
            step()
        except (Crash, RecommonsError):
            return False
        finally:
            self.crashing.arm(None)
        return True

    crashes = st.one_of(st.none(), st.none(), st.integers(0, 60))

    @rule(plan=st.integers(0, 3), crash=crashes, then=st.sampled_from([2, 2, 1]))
    def join(self, plan: int, crash: int | None, then: int) -> None:
        run = len(self.seat.plans).to_bytes(16, "big")
        body = self.seat.announcement(self.plans[plan], run)
        self.survives(crash, lambda: self.seat.ask(OWN, "join", body, run))
        with self.seat.open() as site, site.store.transaction() as transaction:
            joined = site.store.run(transaction, run) is not None  # or the coordinator may know
        if joined:
            self.runs.append(run)
            for _ in range(then):
                self.attempt(run, None)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), crash=crashes)
    def go_on(self, data: st.DataObject, crash: int | None) -> None:
        self.attempt(data.draw(st.sampled_from(self.runs)), crash)

    def attempt(self, run: bytes, crash: int | None) -> None:
        number = self.attempts[run]
        self.attempts[run] += 1
        if not self.survives(
            None, lambda: self.seat.ask(OWN, "advertise", run=run, attempt=number)
        ):
            return
        took: list[str] = []
        if self.survives(crash, lambda: took.extend(self.vector(run, number))):
            self.release(took, run)

    def vector(self, run: bytes, attempt: int) -> list[str]:
        """What ``masked`` does about budgets, without the cryptography."""
        plan = self.seat.plans[run]
        releases = events_of_round(
            plan.specs()[0], plan.noise_cohort(), round_index=0, attempt=attempt
        )
        with self.seat.open() as site:
            keys = site.own_users().keys
            with site.store.transaction() as transaction:
                taking = participants(site, transaction, run_id=run, keys=keys)
            with site.store.transaction() as transaction:
                assert commit_attempt(
                    site,
                    transaction,
                    taking,
                    run_id=run,
                    context=run + bytes([attempt]),
                    spending=spending_of(releases),
                )
            return self.seat.names(site, taking.places)

    def release(self, took: list[str], run: bytes) -> None:
        """The vector has left: the model's books."""
        assert not self.out & set(took), "who opted out is in a vector"
        epsilon_cap, days = self.caps["epsilon"], self.caps["window_days"]
        for user in took:
            self.released[user].append((self.clock, mu_squared(self.seat.plans[run]), run))
            if epsilon_cap == "unlimited":
                continue
            since = self.clock - days * DAY if days else 0.0
            total = sum(mu for at, mu, _ in self.released[user] if at >= since)
            assert epsilon(total, self.caps["delta"]) <= epsilon_cap * (1 + 1e-6), (
                "spent beyond the cap"
            )
        self.check_reservations()

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), crash=crashes)
    def finish(self, data: st.DataObject, crash: int | None) -> None:
        run = data.draw(st.sampled_from(self.runs))
        self.survives(crash, lambda: self.seat.finish(run, sites=[OWN]))

    @rule(change=CHANGES)
    def change(self, change: tuple[Any, ...]) -> None:
        kind, *values = change
        steps: dict[str, Callable[..., None]] = {
            "clock": self.step_clock,
            "policy": self.edit,
            "standing": self.change_standing,
            "data": self.seat.set_users,
        }
        steps[kind](*values)

    def step_clock(self, days: int) -> None:
        self.seat.now += days * DAY
        self.clock = max(self.clock, self.seat.now)

    def edit(self, cap: float | str, days: int, mode: str) -> None:
        self.caps = {"epsilon": cap, "window_days": days, "when_exhausted": mode, "delta": 1e-5}
        self.seat.edit(budget=self.caps)

    def change_standing(self, user: str, to: str) -> None:
        with self.seat.open() as site, site.store.transaction() as transaction:
            budgets = site.store.budgets
            budgets.set_standing(transaction, KeyedHash(budgets.secret(transaction))(user), to)
        (self.out.discard if to == ACTIVE else self.out.add)(user)

    def check_reservations(self) -> None:
        """Every release is of a run that its users are charged for."""
        with self.seat.open() as site, site.store.transaction() as transaction:
            budgets = site.store.budgets
            hashed = KeyedHash(budgets.secret(transaction))
            groups = {group.id: group for group in budgets.groups(transaction)}
            for user, releases in self.released.items():
                number = budgets.group_of(transaction, hashed(user))
                assert number is not None
                assert {run for _, _, run in releases} <= set(groups[number].runs)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> type[Budgets]:
    folder = tmp_path_factory.mktemp("machine") / "ground"
    seat = Seat.take(folder, tiny_data)
    seat.edit(plans={"most_spare_attempts": 5})
    plans = [seat.plan(tiny_data, rounds=1, epsilon=cap, spare_attempts=1) for cap in PLANS]
    return type("Here", (Budgets,), {"ground": folder, "data": tiny_data, "plans": plans})


def test_nothing_spends_beyond_the_caps(ground: type[Budgets]) -> None:
    run_state_machine_as_test(
        ground, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )
