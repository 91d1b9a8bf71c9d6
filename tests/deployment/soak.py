"""Runs with random faults: which ones, and in which order, is drawn from a seed.

What they meet is the machine's own timing. What a service manager does is done here: an agent that
was killed is started again, and so is the coordinator. The one thing an operator does is `resume`,
where the docs say so.
"""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recommons.simulations.loopback import wait_until
from tests.deployment.conftest import MOST_SPARE, Deployment, NotThere
from tests.deployment.faults import (
    check_exact,
    check_ledgers,
    end,
    kill_app,
    started,
)

KINDS = {
    "agent": 0.3,
    "stall": 0.25,
    "app": 0.1,
    "gateway": 0.15,
    "superlink": 0.1,
    "superexec": 0.05,
    "coordinator": 0.05,
}
"""How often each kind of fault is drawn."""

_DEADLINE = 4.0
_PAUSE = 0.7
"""Seconds between faults, on average: a quiet machine does two rounds meanwhile."""


@dataclass(eq=False)
class Soak:
    """Runs of a deployment, and what is done to them.

    Attributes:
        deployment: The deployment.
        rng: Draws the faults.
        done: Faults so far, by kind.
    """

    deployment: Deployment
    rng: np.random.Generator
    done: Counter[str] = field(default_factory=Counter)
    _connected: dict[str, int] = field(default_factory=dict)
    _stalled: list[tuple[float, "subprocess.Popen[bytes]"]] = field(default_factory=list)

    def run(self, rounds: int, faults: int, *, epsilon: float | None = None) -> str:
        """One run of so many rounds with so many faults, to its end; its name."""
        shares = [1 / (rounds - 1)] * (rounds - 1)  # the first round counts the items
        keys: dict[str, Any] = {"model": "als", "spare_attempts": MOST_SPARE}
        keys["settings"] = {"dim": 2, "round_shares": shares}
        if epsilon is not None:
            keys["epsilon"] = epsilon
        with started(self.deployment, deadline=_DEADLINE, seconds=600, **keys) as name:
            try:
                self.deployment.wait_for_step(name, "advertise")
                while self.goes_on(name) and faults:
                    self.fault(name)
                    faults -= 1
                    time.sleep(float(self.rng.exponential(_PAUSE)))
                    self.care(name)
                while self.goes_on(name):
                    time.sleep(0.2)
                    self.care(name)
            finally:
                self.wake(everybody=True)
        return name

    def goes_on(self, name: str) -> bool:
        return self.deployment.state(name)[0] not in ("finished", "failed")

    def fault(self, name: str) -> None:
        """Of a drawn kind, to a drawn victim."""
        kinds: dict[str, Callable[[], None]] = {
            "agent": self.kill_agent,
            "stall": self.stall,
            "app": lambda: kill_app(self.deployment, name),
            "gateway": lambda: self.kill("gateway"),
            "superlink": lambda: self.kill("superlink"),
            "superexec": lambda: self.kill("superexec"),
            "coordinator": self.kill_coordinator,
        }
        drawn = str(self.rng.choice(list(kinds), p=[KINDS[kind] for kind in kinds]))
        # What is to be killed may be gone already, or not there yet.
        with suppress(ProcessLookupError, NotThere):
            kinds[drawn]()
            self.done[drawn] += 1

    def victim(self) -> str:
        return str(self.rng.choice(list(self.deployment.cohort)))

    def kill_agent(self) -> None:
        end(self.deployment.agents[self.victim()])

    def stall(self) -> None:
        """For less than a deadline, or for more."""
        agent = self.deployment.agents[self.victim()]
        agent.send_signal(signal.SIGSTOP)
        seconds = float(self.rng.uniform(0.5, 2 * _DEADLINE))
        self._stalled.append((time.monotonic() + seconds, agent))

    def kill(self, process: str) -> None:
        os.kill(self.deployment.pid(process), signal.SIGKILL)

    def kill_coordinator(self) -> None:
        assert self.deployment.coordinator is not None
        end(self.deployment.coordinator)
        self.deployment.start_coordinator()

    def care(self, name: str) -> None:
        """What a service manager does, and the operator where too few sites had joined."""
        self.wake()
        for site, agent in self.deployment.agents.items():
            if agent.poll() is not None:
                self._connected[site] = self.connections(site) + 1
                self.deployment.start_agent(site)
        if self.deployment.state(name) == ("waiting", "run/sites"):
            everybody = self.deployment.online() == set(self.deployment.cohort)
            if everybody and self.deployment.say("resume", name, "--no-wait")[0] == 0:
                self.done["resumed by hand"] += 1

    def wake(self, *, everybody: bool = False) -> None:
        now = time.monotonic()
        for due, agent in self._stalled:
            if everybody or due <= now:
                agent.send_signal(signal.SIGCONT)
        self._stalled = [] if everybody else [s for s in self._stalled if s[0] > now]

    def connections(self, site: str) -> int:
        return self.deployment.log(site).count('"event": "connected"')

    def finish(self) -> None:
        """A run without faults leaves the last heads with everybody; then everything verifies."""
        # Those that were killed may still be listed as connected: the lease outlives them.
        wait_until(lambda: all(self.connections(s) >= n for s, n in self._connected.items()))
        name = self.run(rounds=2, faults=0)
        check_exact(self.deployment, name)
        check_ledgers(self.deployment)
