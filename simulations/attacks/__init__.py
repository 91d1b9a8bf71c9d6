"""An active coordinator and colluding sites, as programs against the real site code.

Each attack runs against real site folders, keys and databases, and must end in its named refusal
with nothing opened: no site reveals a share, and where one site was attacked, none of its round's
secrets is left on its disk. ``python -m recommons.simulations.attacks`` prints the table.
"""

import tempfile
from pathlib import Path

from recommons.simulations.attacks import (
    by_sites,
    on_keys,
    on_messages,
    on_plans,
    on_replays,
    on_shares,
    on_survivors,
)
from recommons.simulations.attacks.attack import Attack, Ended, Trial, attempt
from recommons.simulations.attacks.ground import SITES, Ground
from recommons.simulations.attacks.stage import Stage

__all__ = ["ATTACKS", "SITES", "Attack", "Ended", "Ground", "Stage", "Trial", "attempt", "run_all"]

ATTACKS: tuple[Attack, ...] = (
    *on_plans.ATTACKS,
    *on_keys.ATTACKS,
    *on_shares.ATTACKS,
    *on_survivors.ATTACKS,
    *on_messages.ATTACKS,
    *on_replays.ATTACKS,
    *by_sites.ATTACKS,
)
"""Every attack; names are unique."""


def run_all(folder: Path | None = None) -> tuple[Trial, ...]:
    """Try every attack.

    Args:
        folder: An empty folder to leave the sites' folders in; a temporary one by default.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        exact = Ground.found(place / "exact")
        noisy = Ground.found(place / "noisy", epsilon=8.0, spare_attempts=0)
        return tuple(
            attempt(attack, noisy if attack.noisy else exact, place / attack.name)
            for attack in ATTACKS
        )
