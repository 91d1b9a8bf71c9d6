"""What leaves a site carries its share of noise, fresh for every attempt."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.client.rounds.answering import answer
from recommons.client.site import Site
from recommons.common.federation import sign_announcement
from recommons.common.heads import Place, heads_to_bytes
from recommons.common.models.registry import model_from_settings
from recommons.common.models.state import arrays_to_bytes
from recommons.common.wire import Envelope, pack
from recommons.simulations.attacks.notary import Notary
from recommons.simulations.founding import Found
from tests.client.seat import coordinator_round

Integers = npt.NDArray[np.int64]


def opened(found: Found, attempt: int, notary: Notary) -> Integers:
    """The sum of round 0 that the coordinator opens."""
    plan, run_id = found.coordinator.plan, found.coordinator.run_id
    roster = found.coordinator.federation.roster

    def send(site: str, exchange: Any, body: bytes) -> bytes:
        envelope = Envelope(run_id=run_id, exchange=exchange, attempt=attempt)
        place = Place(run=run_id.hex(), round=0, attempt=attempt)
        if exchange == "join":
            body = pack(body, heads_to_bytes(()))
        if exchange == "reveal":
            body = notary.with_receipt(place, body)
        with Site.open(found.sites[site]) as site_:
            reply = answer(site_, envelope, body)
        return notary.take(place, site, reply) if exchange == "masked" else reply

    protocol = coordinator_round(plan, roster, run_id, attempt=attempt)
    for site in plan.cohort:
        send(site, "join", sign_announcement(plan, run_id, found.coordinator.identity))
        protocol.receive(site, send(site, "advertise", b""))
    protocol.close_advertise(arrays_to_bytes({}))
    for step, close in (
        ("shares", protocol.close_shares),
        ("masked", protocol.close_masked),
        ("sign", protocol.close_signatures),
        ("reveal", lambda: None),
    ):
        for site in protocol.expected:
            protocol.receive(site, send(site, step, protocol.message_for(site)))
        close()
    return protocol.finish().values


def plain(found: Found) -> Integers:
    """The sum of the sites' clamped integers, without any noise."""
    plan = found.coordinator.plan
    (block,) = plan.specs()[0].blocks
    total = np.zeros(block.size, np.int64)
    for folder in found.sites.values():
        with Site.open(folder) as site:
            model = model_from_settings(plan.model.name, plan.model.settings, site.catalogue)
            total += model.contribute(0, {}, site.interactions, (block,))[block.name]
    return total


def test_an_opened_sum_holds_the_noise_of_every_site_and_another_at_each_attempt(
    found: Callable[..., Found],
) -> None:
    made = found(spare_attempts=1)
    plan = made.coordinator.plan
    (block,) = plan.specs()[0].blocks
    expected = plain(made)
    notary = Notary(found=made)
    first, second = (opened(made, attempt, notary) - expected for attempt in (0, 1))
    # A chi-square of 40 coordinates: within (0.4, 2) of its mean but for one chance in 10^4.
    variance = len(plan.cohort) * block.noise_stddev**2
    for noise in (first, second):
        assert 0.4 < float(np.mean(noise.astype(float) ** 2)) / variance < 2.0
    difference = (first - second).astype(float)
    assert 0.8 < float(np.mean(difference**2)) / variance < 4.0
