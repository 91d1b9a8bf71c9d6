"""Attempts played by the main implementation, message by message, from fixed entropy."""

from collections.abc import Callable
from typing import Any

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.agreement import agree
from recommons.common.secagg.context import Context
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.dealing import Secrets, deal, key_pair
from recommons.common.secagg.messages import Keys
from recommons.common.secagg.parameters import VerifiedPeers
from recommons.common.secagg.roster import Roster
from recommons.common.secagg.site import SiteRound
from tests.vectors.scenario import Scenario

__all__ = ["STATE", "Play", "full_of"]

STATE = b"item factors of round 0"
FINISH = 10


class Play:
    """Plays a scenario to its end; holds every message on the way."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.uploads: dict[str, dict[int, bytes]] = {name: {} for name in scenario.names}
        self.broadcasts: dict[int, bytes] = {}
        self.inboxes: dict[str, bytes] = {}
        self.sites: dict[str, SiteRound] = {}
        self.coordinator = scenario.coordinator()
        self.ending: tuple[int, str] | None = None
        self.values: list[int] = []
        self.wire = b""
        self.hashes: dict[str, bytes] = {}
        self._run()

    def _run(self) -> None:
        for name in self.scenario.names:
            self.sites[name], message = self.scenario.site(name)
            self._upload(name, 1, message)
        step = 1
        try:
            for step in (1, 3, 5, 7):
                self._exchange(step + 1, self.close(self.coordinator, step))
            step = 9
            result = self.coordinator.finish()
        except ProtocolAbort as abort:
            self.ending = (step, abort.code)
            return
        self.values = [int(value) for value in result.values]
        self.wire = bytes(self.scenario.shape.ring.encode(result.words))
        self.hashes = dict(result.vector_hashes)

    def close(self, coordinator: CoordinatorRound, step: int) -> tuple[str, ...]:
        """Closes a step of a coordinator of this scenario."""
        closing: dict[int, Callable[[], tuple[str, ...]]] = {
            1: lambda: coordinator.close_advertise(STATE),
            3: coordinator.close_shares,
            5: coordinator.close_masked,
            7: coordinator.close_signatures,
        }
        return closing[step]()

    def _exchange(self, kind: int, names: tuple[str, ...]) -> None:
        for name in names:
            message = self.coordinator.message_for(name)
            if kind == 4:
                self.inboxes[name] = message
            else:
                self.broadcasts[kind] = message
            if self.scenario.lost.get(self._place(name), FINISH) > kind + 1:
                self._upload(name, kind + 1, self.take(self.sites[name], kind, message))

    def take(
        self, site: SiteRound, kind: int, message: bytes, pinned: bytes | None = None
    ) -> bytes:
        """A site takes message 2, 4, 6 or 8 and answers."""
        place = self._place(site.site)
        if kind == 2:
            site.receive_keys(message, expected_spec=self.scenario.spec, expected_state_hash=pinned)
            honest = site.share()
            return self._long_shares(place) if place in self.scenario.long_polynomial else honest
        if kind == 4:
            site.receive_inbox(message)
            return site.mask(self.scenario.vector(place))
        return site.receive_survivors(message) if kind == 6 else site.receive_certificate(message)

    def _long_shares(self, place: int) -> bytes:
        name = self.scenario.names[place]
        message, _ = deal(
            entropy=self.scenario.entropy(name),
            ctx=self.scenario.context().hash,
            agreement=agree(Keys.from_bytes(self.broadcasts[2])),
            own=place,
            threshold=self.scenario.parameters.threshold + 1,
            identity=self.scenario.identity(name),
        )
        return message.to_bytes()

    def _place(self, name: str) -> int:
        return self.scenario.names.index(name)

    def _upload(self, name: str, kind: int, message: bytes) -> None:
        if self.scenario.lost.get(self._place(name), FINISH) > kind:
            self.uploads[name][kind] = message
            self.coordinator.receive(name, message)

    def to(self, name: str, kind: int) -> bytes:
        """The message of this kind that the coordinator sent to a site."""
        return self.inboxes[name] if kind == 4 else self.broadcasts[kind]

    def site_after(self, name: str, after: int, verified: VerifiedPeers | None = None) -> SiteRound:
        """A site that has taken every message up to its own step `after`."""
        site, _ = self.scenario.site(name, verified=verified)
        for kind in range(2, after, 2):
            self.take(site, kind, self.to(name, kind))
        return site

    def coordinator_at(self, step: int, already: tuple[str, ...] = ()) -> CoordinatorRound:
        """A coordinator that collects this step and has some of its messages already."""
        coordinator = self.scenario.coordinator()
        for kind in range(1, step + 1, 2):
            for name, uploads in self.uploads.items():
                if kind in uploads and (kind < step or name in already):
                    coordinator.receive(name, uploads[kind])
            if kind < step:
                self.close(coordinator, kind)
        return coordinator

    def to_json(self) -> dict[str, Any]:
        """As `models.Transcript` wants it."""
        scenario, context = self.scenario, self.scenario.context()
        parameters = scenario.parameters
        found: dict[str, Any] = {
            "name": scenario.name,
            "context": _context(context, scenario.roster),
            "parameters": {
                "sites": parameters.sites,
                "colluding": parameters.colluding,
                "survivors": parameters.survivors,
                "quorum": parameters.quorum,
            },
            "shape": {"size": scenario.shape.size, "bits": scenario.shape.bits},
            "spec": scenario.spec.hex(),
            "public_state": STATE.hex(),
            "sites": [self._input(place) for place in range(scenario.sites)],
            "lost": {scenario.names[i]: step for i, step in scenario.lost.items()},
        }
        if 2 in self.broadcasts:
            found["full"] = full_of(self).hex()
        found["secrets"] = {name: self._secrets(name) for name in scenario.names}
        found["uploads"] = {
            name: {str(kind): message.hex() for kind, message in sent.items()}
            for name, sent in self.uploads.items()
        }
        found["broadcasts"] = {str(kind): data.hex() for kind, data in self.broadcasts.items()}
        found["inboxes"] = {name: data.hex() for name, data in self.inboxes.items()}
        found["excluded"] = dict(self.coordinator.excluded)
        if self.ending is None:
            found["result"] = {
                "survivors": sorted(self.hashes),
                "wire": self.wire.hex(),
                "values": [str(value) for value in self.values],
                "vector_hashes": {name: found.hex() for name, found in self.hashes.items()},
            }
        else:
            found["ending"] = {"step": self.ending[0], "code": self.ending[1]}
        return found

    def _input(self, place: int) -> dict[str, Any]:
        name = self.scenario.names[place]
        identity = self.scenario.identity(name)
        found: dict[str, Any] = {
            "site": name,
            "signing_secret": identity.secret_bytes().hex(),
            "signing_public": identity.public_key.hex(),
            "entropy": self.scenario.entropy(name).hex(),
            "vector": [str(value) for value in self.scenario.vector(place)],
        }
        if place in self.scenario.long_polynomial:
            found["cheats"] = "its polynomials have one coefficient more than t"
        return found

    def _secrets(self, name: str) -> dict[str, str]:
        entropy, ctx = self.scenario.entropy(name), self.scenario.context().hash
        mask_private, encryption_private = key_pair(entropy, ctx)
        found = {"mask_private": mask_private.hex(), "encryption_private": encryption_private.hex()}
        if 3 in self.uploads[name]:
            found["seed"] = Secrets.of(entropy, ctx, full_of(self)).seed.hex()
        return found


def full_of(play: Play) -> bytes:
    """The hash that step 2 of a play fixed."""
    return agree(Keys.from_bytes(play.broadcasts[2])).full


def _context(context: Context, roster: Roster) -> dict[str, Any]:
    return {
        "federation": context.federation,
        "run": context.run.hex(),
        "round": context.round_index,
        "attempt": context.attempt,
        "cohort": list(context.cohort),
        "roster": roster.to_bytes().decode(),
        "roster_hash": roster.hash.hex(),
        "plan_hash": context.plan_hash.hex(),
        "ctx": context.hash.hex(),
    }
