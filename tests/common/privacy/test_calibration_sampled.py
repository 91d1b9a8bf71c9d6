"""Calibration of plans in some of whose rounds users are drawn."""

import math

import pytest

from recommons.common.audit.accountant import Balance, charges_of_attempt
from recommons.common.audit.accountant import epsilon_of as audited_epsilon
from recommons.common.errors import InvalidInput
from recommons.common.models.interface import BlockRequest
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.calibration import calibrate, worst_case
from recommons.common.privacy.events import Cohort, events_of_round
from recommons.common.privacy.mechanism import RoundSpec

DECLARED = {f"site-{number}": 700 for number in range(8)}
STEPS = 6


def rounds(warm: float = 0.8, blocks: int = 1) -> list[list[BlockRequest]]:
    step = [
        BlockRequest(name=f"u{k}", size=50, clip=0.1, share=(1 - warm) / STEPS / blocks)
        for k in range(blocks)
    ]
    return [[BlockRequest(name="counts", size=40, clip=1.0, share=warm)], *([step] * STEPS)]


def specs_for(
    rate: float | None, *, epsilon: float = 4.0, persons: int = 1, spare: int = 0, blocks: int = 1
) -> tuple[tuple[RoundSpec, ...], Cohort]:
    cohort = Cohort(sites=8, min_survivors=8, colluding=1, max_sites_per_person=persons)
    specs = calibrate(
        rounds(blocks=blocks),
        epsilon=epsilon,
        delta=1e-5,
        cohort=cohort,
        declared_users=DECLARED,
        sampling=(None, *([rate] * STEPS)),
        spare_attempts=spare,
    )
    return specs, cohort


@pytest.mark.parametrize(
    ("rate", "epsilon", "persons", "spare"),
    [(0.05, 8.0, 1, 0), (0.2, 4.0, 1, 0), (0.2, 1.0, 1, 2), (0.5, 4.0, 2, 0), (0.9, 0.3, 1, 1)],
)
def test_the_account_is_just_below_the_target(
    rate: float, epsilon: float, persons: int, spare: int
) -> None:
    specs, cohort = specs_for(rate, epsilon=epsilon, persons=persons, spare=spare)
    found = epsilon_of(worst_case(specs, cohort, spare), 1e-5)
    assert epsilon * (1 - 1e-4) <= found <= epsilon
    assert [spec.sampling for spec in specs] == [None, *([rate] * STEPS)]


def test_an_accountant_that_shares_no_code_agrees() -> None:
    specs, cohort = specs_for(0.2)
    charges = [
        charge
        for index, spec in enumerate(specs)
        for charge in charges_of_attempt(
            [event.to_json() for event in events_of_round(spec, cohort, round_index=index)]
        )
    ]
    counted = {charge: charges.count(charge) for charge in charges}
    assert audited_epsilon(Balance.of(counted), 1e-5) == pytest.approx(4.0, rel=2e-3)


def test_sampling_buys_less_noise() -> None:
    """The same shares of the budget: a rarer draw needs less noise for the same ε."""

    def noise(rate: float | None) -> float:
        block = specs_for(rate)[0][-1].blocks[0]
        return block.noise_stddev * block.grid

    assert noise(0.05) < 0.3 * noise(0.5) < 0.3 * noise(None)


def test_blocks_of_a_round_share_one_draw_and_its_budget() -> None:
    one, _ = specs_for(0.2)
    two, _ = specs_for(0.2, blocks=2)

    def signal(spec: RoundSpec) -> float:
        return math.fsum((b.sensitivity / b.noise_stddev) ** 2 for b in spec.blocks)

    assert signal(two[-1]) == pytest.approx(signal(one[-1]), rel=1e-3)


def test_without_noise_the_rates_are_kept() -> None:
    specs, _ = specs_for(0.2, epsilon=math.inf)
    assert [spec.sampling for spec in specs] == [None, *([0.2] * STEPS)]
    assert all(block.noise_stddev == 0 for spec in specs for block in spec.blocks)


def test_rates_that_do_not_match_the_rounds_are_refused() -> None:
    cohort = Cohort(sites=8, min_survivors=8, colluding=1)
    with pytest.raises(InvalidInput, match="one rate a round"):
        calibrate(
            rounds(),
            epsilon=1.0,
            delta=1e-5,
            cohort=cohort,
            declared_users=DECLARED,
            sampling=(0.5,),
        )
    for rate in (0.0, 1.0, 1.5, math.nan):
        with pytest.raises(InvalidInput, match="sampling is"):
            RoundSpec(ring_bits=32, blocks=(), sampling=rate)
