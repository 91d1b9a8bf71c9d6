"""A real run under attack: half of the users take part, and everything that is seen is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flwr.app import Message

from recommons.client.rounds import contribution as site_contribution
from recommons.common.data.dataset import Dataset
from recommons.common.models.interface import FederatedModel, ModelRelease, NoisySum, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.plan import Plan
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.privacy.noise import Entropy, clamp_and_add_noise
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.uploads import Masked
from recommons.common.wire import Envelope, unpack
from recommons.server.planning.wish import Wish
from recommons.server.records.ledger import LedgerFile
from recommons.server.rounds.tally import noisy_sums
from recommons.simulations.empirical.contributions import contribution
from recommons.simulations.empirical.faults import replaced
from recommons.simulations.founding import found_federation
from recommons.simulations.populations import declared_users, partition
from recommons.simulations.training_run import run_in_process

__all__ = ["Attacked", "SiteView", "carry_out"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SiteView:
    """One site's part in one round.

    Attributes:
        exact: int64: the sum over its users.
        noised: int64: with its share of noise, as masks hide it. Nobody should see it.
        masked: Words of the ring: what the coordinator received.
    """

    exact: Integers
    noised: Integers
    masked: npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True, kw_only=True, eq=False)
class Attacked:
    """A finished run, seen from everywhere.

    Attributes:
        dataset: Everybody, members or not.
        members: bool by user: who took part.
        users_at: Members by site, positions in the data set.
        plan: The plan.
        model: The model that the plan names.
        release: The published model.
        sums: By round: the released sums in the model's units.
        sites: By round and site.
    """

    dataset: Dataset
    members: npt.NDArray[np.bool_] = field(repr=False)
    users_at: Mapping[str, Integers] = field(repr=False)
    plan: Plan
    model: FederatedModel
    release: ModelRelease = field(repr=False)
    sums: tuple[Mapping[str, NoisySum], ...] = field(repr=False)
    sites: tuple[Mapping[str, SiteView], ...] = field(repr=False)


def carry_out(
    dataset: Dataset,
    folder: Path,
    *,
    epsilon: float = inf,
    sites: int = 8,
    dim: int | None = None,
    delta: float = 1e-6,
    colluding: int = 1,
    seed: int = 0,
) -> Attacked:
    """Found a federation of half of the users, train it, and keep what there is to see.

    Args:
        dataset: Everybody.
        folder: An empty folder.
        epsilon: Target of the plan; infinite for no noise.
        sites: N; all must survive.
        dim: Factors of `als`.
        delta: δ.
        colluding: c.
        seed: Of who is a member, and where.

    Raises:
        RecommonsError: The run could not be carried out.
    """
    rng = np.random.default_rng(seed)
    members = np.zeros(dataset.n_users, np.bool_)
    members[rng.permutation(dataset.n_users)[: dataset.n_users // 2]] = True
    present = np.flatnonzero(members)
    population = partition("uniform", len(present), sites, rng)
    users_at = {site: present[population.users_of(site)] for site in population.site_names}
    declared = {site: declared_users(len(users)) for site, users in users_at.items()}
    figures = PublicFigures(
        declared_users=declared, n_items=len(dataset.catalogue), epsilon=epsilon
    )
    model = build_model("als", dataset.catalogue, figures, dim=dim, seed=seed)
    wish = Wish(epsilon=epsilon, delta=delta, colluding=colluding, min_survivors=sites)
    coordinator = found_federation(folder, dataset, users_at, declared, model, wish).coordinator
    wire, shares = _Wire(), _Shares()
    with replaced(site_contribution, "clamp_and_add_noise", shares.add):
        result = run_in_process(folder, coordinator, witness=wire.see)
    ledger = LedgerFile.open(coordinator.records / "ledger.jsonl", coordinator.identity)
    sums: list[Mapping[str, NoisySum]] = []
    seen: list[Mapping[str, SiteView]] = []
    for entry in ledger.of_run("sum", coordinator.run_id):
        number = entry.body["round"]
        total, survivors = coordinator.load_sum(number, entry.body["sum"])
        state, spec = model.public_state(tuple(sums)), coordinator.plan.specs()[number]
        parts = {
            site: contribution(model, number, state, dataset.interactions.take(users), spec)
            for site, users in users_at.items()
        }
        seen.append(
            {
                site: SiteView(
                    exact=exact,
                    noised=shares.of(spec, exact),
                    masked=wire.vector(site, number, spec),
                )
                for site, exact in parts.items()
            }
        )
        sums.append(noisy_sums(spec, total, survivors))
    return Attacked(
        dataset=dataset,
        members=members,
        users_at=users_at,
        plan=coordinator.plan,
        model=model,
        release=result.release,
        sums=tuple(sums),
        sites=tuple(seen),
    )


@dataclass
class _Wire:
    """Masked vectors as they passed."""

    bodies: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def see(self, config: Mapping[str, str], request: Message, reply: Message) -> None:
        asked = request.content.config_records["recommons"]
        envelope = Envelope.from_bytes(bytes(asked["envelope"]))  # type: ignore[arg-type]
        if envelope.exchange == "masked":
            body = reply.content.config_records["recommons"]["body"]
            self.bodies[Path(config["site-dir"]).name, envelope.round] = bytes(body)  # type: ignore[arg-type]

    def vector(self, site: str, number: int, spec: RoundSpec) -> npt.NDArray[np.unsignedinteger]:
        message, _ = unpack(self.bodies[site, number], 2)
        ring = VectorShape(size=spec.size, bits=spec.ring_bits).ring
        return ring.decode(Masked.from_bytes(message).vector)


@dataclass
class _Shares:
    """Noised sums as sites made them, known by the exact sums they were made from."""

    made: list[tuple[RoundSpec, Integers, Integers]] = field(default_factory=list)

    def add(self, sums: Mapping[str, Integers], spec: RoundSpec, entropy: Entropy) -> Integers:
        noised = clamp_and_add_noise(sums, spec, entropy)
        exact = np.concatenate([sums[block.name] for block in spec.blocks])
        self.made.append((spec, exact, noised.copy()))
        return noised

    def of(self, spec: RoundSpec, exact: Integers) -> Integers:
        """The noised form of an exact sum."""
        return next(
            noised
            for known, sums, noised in self.made
            if known == spec and np.array_equal(sums, exact)
        )
