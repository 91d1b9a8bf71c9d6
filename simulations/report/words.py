"""What a report says in sentences: the same words on the page and in the terminal."""

import math
from dataclasses import dataclass

from recommons.common.privacy.accounting import SAMPLING_ASSUMPTION
from recommons.common.privacy.crosschecks import TIGHT, TOLERANCE
from recommons.common.units import counted, epsilon_text, factor_text, small_text
from recommons.server.rounds.progress import STEPS
from recommons.simulations.report.schema import Metrics, Report, SiteFigures

__all__ = [
    "ASSUMED_PUBLIC",
    "Way",
    "accountant_name",
    "cross_checks",
    "disagreement_sentence",
    "gain_of_site",
    "gain_sentence",
    "guarantee_sentence",
    "guess_sentence",
    "limits",
    "neighbours_words",
    "price_sentence",
    "reserved_sentence",
    "sites_sentence",
    "steps_in_order",
    "trained_sentence",
    "ways",
]

ASSUMED_PUBLIC = "Catalogue assumed public"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One of the four ways to recommend.

    Attributes:
        key: ``popularity``, ``alone``, ``global`` or ``served``.
        path: Where its figures are in `report.json`, as a JSON pointer.
        name: For people.
        meaning: What it is, in one sentence.
        metrics: Its quality.
    """

    key: str
    path: str
    name: str
    meaning: str
    metrics: Metrics


def ways(report: Report) -> tuple[Way, ...]:
    """The four ways, from the least to the most that a site can do."""
    return (
        Way(
            key="popularity",
            path="/baselines/popularity",
            name="Popularity",
            meaning="The items most often chosen, by noised counts; the same for everyone.",
            metrics=report.baselines.popularity,
        ),
        Way(
            key="alone",
            path="/baselines/site_alone",
            name="Site alone",
            meaning="The best model a site can make of its own data and the public features.",
            metrics=report.baselines.site_alone,
        ),
        Way(
            key="global",
            path="/metrics/global",
            name="Global model",
            meaning="The model the sites trained together, before a site adds anything.",
            metrics=report.metrics.global_model,
        ),
        Way(
            key="served",
            path="/metrics/served",
            name="Served",
            meaning="The global model with the site's own data: what a site serves to its users.",
            metrics=report.metrics.served,
        ),
    )


def trained_sentence(report: Report) -> str:
    """What was trained, on what."""
    data, model = report.data, report.model
    width = "" if model.dim is None else f" of {model.dim} dimensions"
    return (
        f"{counted(data.sites, 'site')} trained one {model.name} model{width} in "
        f"{counted(model.rounds, 'round')} on {data.interactions:,} interactions of "
        f"{data.users:,} users with {data.items:,} items, without pooling them."
    )


def gain_sentence(report: Report) -> str:
    """What joining does to Recall@20."""
    alone = report.baselines.site_alone.recall_at_20
    served = report.metrics.served.recall_at_20
    before, after = f"{alone:.3f}", f"{served:.3f}"
    if before == after:
        return f"Joining leaves Recall@20 for a site's users at {before}."
    verb = "raises" if served > alone else "lowers"
    change = f" ({(served / alone - 1) * 100:+.1f} %)" if alone > 0 else ""
    return f"Joining {verb} Recall@20 for a site's users from {before} to {after}{change}."


def sites_sentence(report: Report) -> str:
    """How many sites gained."""
    gains = [gain for gain in map(gain_of_site, report.sites) if gain is not None]
    if not gains:
        return "No site has test users, so gains by site are unknown."
    better = sum(gain > 0 for gain in gains)
    return (
        f"{better} of {counted(len(gains), 'site')} with test users serve better "
        "than they would alone."
    )


def gain_of_site(site: SiteFigures) -> float | None:
    """Recall@20 as served less that alone; None where the site has no test users."""
    if site.served is None or site.alone is None:
        return None
    return site.served - site.alone


def guarantee_sentence(report: Report) -> str:
    """ε and δ in one sentence, with unit, neighbours, M and c."""
    privacy = report.privacy
    if privacy.epsilon is None or privacy.delta is None:
        return (
            "No privacy noise was added: what was released is protected by no differential "
            "privacy guarantee. Secure aggregation still hid each site's part of every sum."
        )
    who = f"any one {privacy.unit} took part ({neighbours_words(report)})"
    return (
        f"Whether or not {who} changes the probability of anything that the coordinator or a "
        f"reader of the model could see by at most a factor e^ε = {factor_text(privacy.epsilon)} "
        f"(ε = {epsilon_text(privacy.epsilon)}) and an added δ = {small_text(privacy.delta)}, "
        f"as long as every sum had at least M = {privacy.min_survivors} sites of which at most "
        f"c = {privacy.colluding} withheld their noise."
    )


def neighbours_words(report: Report) -> str:
    """How two neighbouring data sets differ, as a phrase: ``one user added or removed``."""
    unit = report.privacy.unit
    known = {f"add-or-remove one {unit}": f"one {unit} added or removed"}
    return known.get(report.privacy.neighbours, report.privacy.neighbours)


def reserved_sentence(report: Report) -> str:
    """What was reserved beside what was released; empty where nothing is claimed."""
    privacy = report.privacy
    if privacy.epsilon is None or privacy.epsilon_reserved is None:
        return ""
    released, reserved = epsilon_text(privacy.epsilon), epsilon_text(privacy.epsilon_reserved)
    if released == reserved:
        return f"All of the reserved ε = {reserved} was spent."
    return f"Spent: ε = {released}. Reserved, for every permitted attempt: ε = {reserved}."


def guess_sentence(report: Report) -> str:
    """The same guarantee as the best anyone can guess.

    Among all tests between two neighbours, true positives less false positives are at most
    (e^ε − 1 + 2δ)/(e^ε + 1) (Kairouz, Oh and Viswanath 2015); a guess at even odds is right with
    half of one more than that: (e^ε + δ)/(e^ε + 1).
    """
    privacy = report.privacy
    if privacy.epsilon is None or privacy.delta is None:
        return "Whoever reads the model may find out whether a given user took part."
    decay = math.exp(-privacy.epsilon)
    doubt = (1 - privacy.delta) * decay / (1 + decay)
    right = f"is right at most {_percent_below_certainty(doubt)} of the time"
    if doubt < 1e-6:
        right = "may be right practically every time"
    return (
        f"Someone who must guess whether a given {privacy.unit} took part, at even odds, {right}."
    )


def _percent_below_certainty(doubt: float) -> str:
    """1 − doubt as a percentage, rounded up, with as many nines as tell it from certainty."""
    digits = max(0, -math.floor(math.log10(doubt)) - 2)
    kept = math.floor(doubt * 10.0 ** (digits + 2)) / 10.0 ** (digits + 2)
    return f"{(1 - kept) * 100:.{digits}f} %"


def accountant_name(report: Report) -> str:
    """The accountant of the headline, for people."""
    return _ACCOUNTANTS.get(report.privacy.accountant, report.privacy.accountant)


_ACCOUNTANTS = {
    "gaussian": "by exact Gaussian composition",
    "pld": "by privacy loss distributions, as users were sampled",
    "zcdp": "by zero-concentrated differential privacy",
}


def cross_checks(report: Report) -> tuple[tuple[str, str], ...]:
    """The other accountants: the name in `report.json`, and one for people."""
    found = report.privacy.cross_checks
    return tuple((name, _CHECKS.get(name, name)) for name in found if name != "zcdp")


def disagreement_sentence(report: Report) -> str:
    """Which accountants contradict the headline; empty where none does."""
    wrong = report.privacy.disagreements
    if not wrong:
        return ""
    names = "; ".join(_CHECKS.get(name, name) for name in wrong)
    exact = " and ".join(_CHECKS[name] for name in sorted(TIGHT))
    return (
        f"Accountants disagree with ε = {epsilon_text(report.privacy.epsilon)}: {names}. Do not "
        f"rely on this figure before the cause is found. Allowed are {TOLERANCE * 100:g} % "
        f"of ε either way for {exact}; the others are bounds and must not lie below it, nor be "
        "more than twice as large."
    )


_CHECKS = {
    "zcdp": "zero-concentrated differential privacy",
    "dp-accounting-pld": "privacy loss distributions, by dp-accounting",
    "dp-accounting-rdp": "Rényi differential privacy, by dp-accounting",
    "opacus-rdp": "Rényi differential privacy, by Opacus",
    "opacus-prv": "privacy random variables, by Opacus",
}


def steps_in_order(report: Report) -> tuple[str, ...]:
    """Every step that was timed or whose bytes were counted, in the order of the protocol."""
    counted = report.secure_aggregation
    known = {**counted.seconds_by_step, **counted.bytes_up_by_step, **counted.bytes_down_by_step}
    order = list(STEPS)
    # A name that is no step comes last, where it stood.
    return tuple(sorted(known, key=lambda name: order.index(name) if name in STEPS else len(order)))


def price_sentence(report: Report) -> str:
    """What the chosen c and M cost in noise; empty where there is none."""
    privacy = report.privacy
    if privacy.noise_price is None:
        return ""
    if privacy.noise_price < 1.0005:
        return (
            f"M = {privacy.min_survivors} and c = {privacy.colluding} cost no noise beyond what "
            "the guarantee itself needs: every site must be present and honest."
        )
    return (
        f"Allowing for M = {privacy.min_survivors} survivors and c = {privacy.colluding} colluding "
        f"of {report.data.sites} sites makes the noise {privacy.noise_price:.3f} times as wide as "
        "it would be if all were sure to be present and honest."
    )


def limits(report: Report) -> tuple[str, ...]:
    """What the figures do not say and the guarantee does not cover."""
    privacy = report.privacy
    found = [
        "This was a simulation: every site's data lay on one machine, so it protected nobody. It "
        "shows what a federation would gain and what it would cost.",
        "The figures in this report are computed from users' held-out choices without noise. In "
        "a deployment they stay at the site.",
    ]
    if privacy.epsilon is not None:
        found.append(_who_is_covered(privacy.unit, privacy.max_sites_per_person))
    if privacy.accountant == "pld":
        found.append(f"The guarantee assumes that {SAMPLING_ASSUMPTION}.")
    found += [
        f"{_collusion(privacy.colluding)} is an assumption about people. No arithmetic can "
        "check it.",
        "What a site's own recommendations show its users about its other users is outside the "
        "guarantee: the site's own data enter them, and they never leave the site's care.",
        "That a site clips, adds its noise and counts as it says rests on the code it runs. A "
        "malicious site can spoil a sum or bias the model.",
        "Membership of the federation, declared sizes and timing are not hidden.",
    ]
    if report.data.catalogue == "assumed public":
        found.append(
            f"{ASSUMED_PUBLIC}: the list of items was read off the events. In earnest it would be "
            "private information, and a deployment refuses it."
        )
    return tuple(found)


def _who_is_covered(unit: str, sites: int) -> str:
    if sites == 1:
        return (
            f"The guarantee is for one {unit} at one site. A person known to several sites is "
            f"one {unit} at each, and the promises add up to a weaker one."
        )
    return f"The guarantee holds for a person who is a {unit} at up to {sites} sites."


def _collusion(colluding: int) -> str:
    partners = "with the coordinator or with each other"
    if colluding == 0:
        return f"That no sites collude, {partners},"
    return f"That at most {counted(colluding, 'site')} of the federation collude, {partners},"
