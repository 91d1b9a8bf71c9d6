"""A small federation on a disk, whose sum shows who was counted, and how often.

Five sites, one of which may collude; at least four must survive. Each site has one user, and each
user has one item of their own: without noise, round 0 sums to one-hot vectors, and a site counted
twice or left out is visible at its coordinate.
"""

import secrets
import shutil
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import numpy as np
import polars as pl

from recommons.client.enrolment import accept_federation
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.dataset import Dataset
from recommons.common.data.interactions import Interactions
from recommons.common.federation import Federation
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.wire import Exchange
from recommons.server.planning.wish import Wish
from recommons.server.records.folder import CoordinatorFolder
from recommons.simulations.attacks.stage import Stage
from recommons.simulations.founding import Found, found_federation

__all__ = ["SITES", "Ground"]

SITES = tuple(f"site-{place}" for place in range(5))
_SURVIVORS, _COLLUDING = 4, 1
_FACTORS = 2


@dataclass(kw_only=True)
class Ground:
    """A founded federation to take copies of; nothing is attacked in the original.

    Attributes:
        folder: `founded` is in it, and copies of it that were played to some step.
        federation_key: The federation's offline key, for attacks by whoever holds it.
    """

    folder: Path
    federation_key: SigningIdentity
    _played: dict[Exchange, Stage] = field(default_factory=dict)

    @classmethod
    def found(cls, folder: Path, *, epsilon: float = inf, spare_attempts: int = 3) -> "Ground":
        """Make the folders; every site joins the run.

        Args:
            folder: An empty or new one.
            epsilon: Infinite for sums without noise.
            spare_attempts: Attempts beyond one a round that the plan pays for.
        """
        wish = Wish(
            epsilon=epsilon,
            delta=1e-5,
            colluding=_COLLUDING,
            min_survivors=_SURVIVORS,
            spare_attempts=spare_attempts,
        )
        found = _founded(folder / "founded", wish)
        ground = cls(folder=folder, federation_key=_known_federation_key(found))
        with Stage(found=found, federation_key=ground.federation_key) as stage:
            stage.join()
        return ground

    def stage(self, folder: Path, *, before: Exchange = "advertise") -> Stage:
        """A copy for one attack, played honestly until `before` comes next; close it after use."""
        if before == "advertise":
            return self._copy(self.folder / "founded", folder)
        if before not in self._played:
            with self._copy(self.folder / "founded", self.folder / before) as played:
                played.before(before)
            self._played[before] = played
        played, copy = self._played[before], self._copy(self.folder / before, folder)
        copy.said = list(played.said)
        copy.honest = copy.resumed(played.honest)
        copy.notary.heads |= played.notary.heads
        for site, traces in played.traces.items():
            copy.traces[site].seen |= traces.seen
        return copy

    def _copy(self, source: Path, folder: Path) -> Stage:
        shutil.copytree(source, folder)
        coordinator = CoordinatorFolder.open(folder / "coordinator")
        sites = {site: folder / "sites" / site for site in SITES}
        found = Found(coordinator=coordinator, sites=sites)
        return Stage(found=found, federation_key=self.federation_key)


def _founded(folder: Path, wish: Wish) -> Found:
    dataset = _one_item_each()
    declared = dict.fromkeys(SITES, 10)
    options = AlsSettings(dim=_FACTORS, round_shares=(0.4, 0.6))
    model = AlsModel(catalogue=dataset.catalogue, options=options)
    own_users = {site: np.array([place]) for place, site in enumerate(SITES)}
    return found_federation(folder, dataset, own_users, declared, model, wish)


def _known_federation_key(found: Found) -> SigningIdentity:
    """Sign the roster again with a key that attacks may hold; founding keeps none."""
    key = SigningIdentity(secrets.token_bytes(32))
    pinned = found.coordinator.federation
    federation = Federation(
        signed_roster=pinned.roster.sign(key),
        federation_key=key.public_key,
        coordinator_key=pinned.coordinator_key,
    )
    for site in found.sites.values():
        accept_federation(site, federation)
    (found.coordinator.folder / "federation.json").write_bytes(federation.to_bytes())
    return key


def _one_item_each() -> Dataset:
    """User k has item k; one item is nobody's."""
    users = len(SITES)
    items = tuple(f"item-{place}" for place in range(users + 1))
    return Dataset(
        name="one item each",
        catalogue=Catalogue(item_ids=items, titles=("",) * len(items)),
        user_ids=pl.Series([f"user-{place}" for place in range(users)]),
        interactions=Interactions.from_pairs(
            np.arange(users), np.arange(users), n_users=users, n_items=len(items)
        ),
    )
