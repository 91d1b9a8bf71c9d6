"""Was this user in the training data? Two attacks on the published model.

| attack | who | what it knows beside the model and the plan |
|---|---|---|
| `shadow_scores` | anybody | the target's history, and users like those who took part |
| `decoded_scores` | an insider | the histories of all candidates |

The first is the likelihood-ratio attack (LiRA; Carlini et al. 2022): models are trained like the
real one on random halves of the users, so that for each user a statistic's law with and without
that user is known, and the real model's statistic is more likely under one of them. The second
solves for all candidates at once: counts are a linear function of who took part.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import FederatedModel, ModelRelease, NoisySum
from recommons.common.privacy.mechanism import RoundSpec
from recommons.server.rounds.tally import noisy_sums
from recommons.simulations.empirical.contributions import contribution

__all__ = ["decoded_scores", "shadow_scores", "statistics", "true_positives_at"]

Floats = npt.NDArray[np.float64]

_COUNTED = 0.25  # variance of a fair coin
_LEAST_VARIANCE = 1e-6
_LENGTH_GROUPS = 10


def statistics(release: ModelRelease, users: Interactions) -> Floats:
    """How well the model's item weights fit each user's history, shape ``(users, 2)``.

    The noised counts of the user's items, over √items; and how often, by the factors, the user's
    items occur together: Σ_{i≠j} L_i·L_j over items.
    """
    history = users.matrix(np.float64)
    lengths = np.maximum(np.diff(users.indptr), 1)
    factors = np.asarray(release.arrays["factors"], np.float64)
    together = np.square(history @ factors).sum(1) - history @ np.square(factors).sum(1)
    counts = history @ np.asarray(release.arrays["counts"], np.float64)
    return np.stack([counts / np.sqrt(lengths), together / lengths], axis=1)


def shadow_scores(
    release: ModelRelease,
    model: FederatedModel,
    specs: tuple[RoundSpec, ...],
    users: Interactions,
    *,
    shares: int,
    shadows: int,
    rng: np.random.Generator,
) -> Floats:
    """Log-likelihood ratios, shape ``(users,)``: larger for those who took part.

    Args:
        release: The published model.
        model: How it was made; public.
        specs: The plan's mechanism; public.
        users: Everybody who may have taken part; half of them did.
        shares: How many sites' noise is in a sum.
        shadows: Models to train; even, since every half is used with its complement.
        rng: Draws halves and noise.
    """
    seen, present = [], []
    for _ in range(shadows // 2):
        half = np.zeros(users.n_users, np.bool_)
        half[rng.permutation(users.n_users)[: users.n_users // 2]] = True
        for taking_part in (half, ~half):
            shadow = _train(model, specs, users.take(np.flatnonzero(taking_part)), shares, rng)
            seen.append(statistics(shadow, users))
            present.append(taking_part)
    values, taking_part = np.stack(seen), np.stack(present)[:, :, None]
    with_user = (values * taking_part).sum(0) / taking_part.sum(0)
    without = (values * ~taking_part).sum(0) / (~taking_part).sum(0)
    spread = values - np.where(taking_part, with_user, without)
    variance = np.square(spread).sum(0) / (shadows - 2) + _LEAST_VARIANCE
    effect = _smoothed(with_user - without, users)
    middle = (with_user + without) / 2
    # Two normal laws of one variance, their means half an effect above and below the middle.
    return np.asarray((effect * (statistics(release, users) - middle) / variance).sum(1))


def decoded_scores(release: ModelRelease, users: Interactions, *, counts_stddev: float) -> Floats:
    """The linear estimate of everybody's membership from the model's counts, shape ``(users,)``.

    With W the rows x/‖x‖ and coins b of variance ¼: ¼ W (¼ WᵀW + σ²)⁻¹ (c - ½ Wᵀ1).

    Args:
        release: The published model.
        users: Everybody who may have taken part; half of them did.
        counts_stddev: σ of the counts' noise, from the plan.
    """
    lengths = np.maximum(np.diff(users.indptr), 1)
    rows = sp.csr_array(users.matrix(np.float64).multiply(1 / np.sqrt(lengths)[:, None]))
    gram = _COUNTED * (rows.T @ rows).toarray()
    gram[np.diag_indices_from(gram)] += max(counts_stddev**2, _LEAST_VARIANCE)
    surplus = np.asarray(release.arrays["counts"], np.float64) - 0.5 * rows.sum(axis=0)
    return np.asarray(_COUNTED * (rows @ la.solve(gram, surplus, assume_a="pos")))


def true_positives_at(scores: Floats, truth: npt.NDArray[np.bool_], false: float) -> float:
    """The share of members found when at most a share `false` of the others is accused."""
    threshold = np.quantile(scores[~truth], 1 - false, method="higher")
    return float(np.mean(scores[truth] > threshold))


def _train(
    model: FederatedModel,
    specs: tuple[RoundSpec, ...],
    users: Interactions,
    shares: int,
    rng: np.random.Generator,
) -> ModelRelease:
    """The model of these users, with continuous noise in place of the grid's."""
    done: list[Mapping[str, NoisySum]] = []
    for number, spec in enumerate(specs):
        state = model.public_state(tuple(done))
        exact = noisy_sums(spec, contribution(model, number, state, users, spec), shares)
        done.append(
            {
                name: NoisySum(
                    values=block.values + block.stddev * rng.standard_normal(len(block.values)),
                    stddev=block.stddev,
                )
                for name, block in exact.items()
            }
        )
    return model.release(tuple(done))


def _smoothed(effect: Floats, users: Interactions) -> Floats:
    """A user's own effect is lost among a few shadows: the mean over users of like length."""
    order = np.argsort(np.diff(users.indptr), kind="stable")
    smooth = np.empty_like(effect)
    for group in np.array_split(order, min(_LENGTH_GROUPS, len(order))):
        smooth[group] = effect[group].mean(0)
    return smooth
