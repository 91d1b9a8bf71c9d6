"""A whole federation on one disk: site folders with their own data, roster, coordinator, plan."""

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommons.client.enrolment import accept_federation, create_site, write_policy
from recommons.client.site import SiteConfig
from recommons.client.sources import write_histories
from recommons.common.data.catalogue_document import catalogue_to_bytes
from recommons.common.data.dataset import Dataset
from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.models.interface import FederatedModel
from recommons.common.peers import fingerprint
from recommons.common.policy import BudgetPolicy, CohortPolicy, PlansPolicy, Policy
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.server.planning.wish import Wish, make_plan, specs_for
from recommons.server.records.folder import CoordinatorFolder

__all__ = ["Found", "found_federation"]

_FEDERATION = "simulation"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where things are.

    Attributes:
        coordinator: The coordinator's folder.
        sites: Folder by site.
    """

    coordinator: CoordinatorFolder
    sites: Mapping[str, Path]


_ANY_ROUNDS = 100_000


def _policy(wish: Wish) -> Policy:
    """The policy of a simulated site: exactly what the simulation asks for, and no more.

    A second run would need a new simulation: the budget is for all time and holds one run.
    """
    return Policy(
        budget=BudgetPolicy(
            epsilon="unlimited" if math.isinf(wish.epsilon) else wish.epsilon,
            delta=wish.delta,
            window_days=0,
            when_exhausted="refuse",
        ),
        plans=PlansPolicy(
            most_rounds=_ANY_ROUNDS,
            most_spare_attempts=wish.spare_attempts,
            inferred_catalogue="accept",
        ),
        cohort=CohortPolicy(
            least_survivors=wish.min_survivors,
            least_colluding=wish.colluding,
        ),
    )


def found_federation(
    folder: Path,
    dataset: Dataset,
    own_users: Mapping[str, npt.NDArray[np.int64]],
    declared_users: Mapping[str, int],
    model: FederatedModel,
    wish: Wish,
    specs: tuple[RoundSpec, ...] | None = None,
) -> Found:
    """Make every folder of a simulated federation and its plan.

    Every site allows exactly this plan. All sites are made here, in one place: each one's keys
    count as verified at every other.

    Args:
        folder: Where; `coordinator` and `sites` are made in it.
        dataset: The data whose users the sites hold.
        own_users: The training users of each site, as positions in the data set.
        declared_users: The rounded number each site declares.
        model: What is trained.
        wish: The guarantee.
        specs: The mechanism of every round, where `specs_for` has been asked already.

    Raises:
        InvalidInput: A site has no users to train on, or the wish does not hold for the cohort.
        PrivacyError: No noise grants the wish.
    """
    empty = sorted(site for site, users in own_users.items() if not len(users))
    if empty:
        raise InvalidInput("run/too-small", f"sites {', '.join(empty)} have no users to train on")
    specs = specs or specs_for(model, declared_users, wish)  # before anything is written
    document = catalogue_to_bytes(dataset.catalogue)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for half in ("coordinator", "sites"):
        (folder / half).mkdir(mode=0o700, exist_ok=True)
    (folder / "coordinator" / "catalogue.json").write_bytes(document)

    folders = {site: folder / "sites" / site for site in sorted(own_users)}
    roster = _enrol(folders, dataset, own_users, declared_users, _policy(wish))
    plan = make_plan(model, dataset.catalogue, roster, declared_users, wish, specs)
    federation_key = SigningIdentity(secrets.token_bytes(32))
    coordinator_key = SigningIdentity(secrets.token_bytes(32))
    federation = Federation(
        signed_roster=roster.sign(federation_key),
        federation_key=federation_key.public_key,
        coordinator_key=coordinator_key.public_key,
    )
    for site in folders.values():
        accept_federation(site, federation)
    coordinator = CoordinatorFolder.create(
        folder / "coordinator", coordinator_key, federation, plan, document
    )
    return Found(coordinator=coordinator, sites=folders)


def _enrol(
    folders: Mapping[str, Path],
    dataset: Dataset,
    own_users: Mapping[str, npt.NDArray[np.int64]],
    declared_users: Mapping[str, int],
    policy: Policy,
) -> Roster:
    entries: list[RosterSite] = []
    for site, folder in folders.items():
        config = SiteConfig(
            site=site,
            declared_users=declared_users[site],
            catalogue="../../coordinator/catalogue.json",
        )
        entries.append(create_site(folder, config, policy))
        users = own_users[site]
        write_histories(
            folder / "events.parquet",
            dataset.user_ids.gather(users),
            dataset.interactions.take(users),
            dataset.catalogue,
        )
    for site, folder in folders.items():
        write_policy(folder, _with_peers(policy, site, entries))
    return Roster(federation=_FEDERATION, epoch=1, sites=tuple(entries))


def _with_peers(policy: Policy, own: str, entries: Sequence[RosterSite]) -> Policy:
    verified = {e.site: fingerprint(e.public_key) for e in entries if e.site != own}
    return policy.model_copy(
        update={"peers": policy.peers.model_copy(update={"verified": verified})}
    )
