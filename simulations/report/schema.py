"""`report.json`: every figure of a run, named and bounded. The page and the summary read only this.

Written in JSON with the names of the aliases (``recall@20``); in Python either name will do. An
unknown or missing field, a string where a number is due or a number that is not finite is an
error. ε, and what follows from it, is null where no privacy is claimed (``--epsilon inf``).
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput
from recommons.common.privacy.crosschecks import disagreements

__all__ = [
    "Abort",
    "Baselines",
    "DataFigures",
    "Metrics",
    "ModelFigures",
    "PrivacyFigures",
    "Release",
    "Report",
    "SecureAggregationFigures",
    "SiteFigures",
    "WaysMeasured",
    "parse_report",
    "report_json",
]

Part = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Epsilon = Annotated[float, Field(ge=0)] | None


class _Figures(BaseModel):
    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class Metrics(_Figures):
    """Quality on test users: full catalogue, their own known items left out.

    Attributes:
        recall_at_20: Hits among the first 20 over min(20, held-out items), mean over users.
        ndcg_at_20: Binary NDCG of the first 20.
        ndcg_at_100: Binary NDCG of the first 100.
        coverage_at_20: Part of the catalogue that is among anyone's first 20.
    """

    recall_at_20: Part = Field(validation_alias="recall@20", serialization_alias="recall@20")
    ndcg_at_20: Part = Field(validation_alias="ndcg@20", serialization_alias="ndcg@20")
    ndcg_at_100: Part = Field(validation_alias="ndcg@100", serialization_alias="ndcg@100")
    coverage_at_20: Part = Field(validation_alias="coverage@20", serialization_alias="coverage@20")


class WaysMeasured(_Figures):
    """The two ways that need the federation.

    Attributes:
        global_model: The federation's model alone.
        served: The federation's model with the site's own data: what a site serves.
    """

    global_model: Metrics = Field(validation_alias="global", serialization_alias="global")
    served: Metrics


class Baselines(_Figures):
    """What the federation is compared with.

    Attributes:
        site_alone: The best model a site can make of its own data and the public features.
        popularity: The noised counts, the same for everyone.
        ease_centralised: EASE on everyone's pooled data without privacy, where the catalogue
            is small enough for it.
    """

    site_alone: Metrics
    popularity: Metrics
    ease_centralised: Metrics | None = None


class DataFigures(_Figures):
    """The data of the run.

    Attributes:
        name: Of the data set.
        users: All users, those for validation and test included.
        items: Size of the catalogue.
        interactions: Distinct (user, item) pairs.
        sites: Number of sites.
        catalogue: ``assumed public`` where it was read off the events.
    """

    name: str
    users: Count
    items: Positive
    interactions: Count
    sites: Positive
    catalogue: Literal["public", "assumed public"]


class ModelFigures(_Figures):
    """The model: its name, its width (null where it has none) and its number of rounds."""

    name: str
    dim: Positive | None
    rounds: Positive


class Release(_Figures):
    """One block of one round's sum, released.

    Attributes:
        round: From 1.
        attempt: From 1.
        block: Its name.
        mu: μ of the Gaussian mechanism, sensitivity over standard deviation; null without noise.
        sampling: Probability with which a user took part (Poisson); null where everyone did.
        epsilon_cumulative: ε of everything released up to and with this.
    """

    round: Positive
    attempt: Positive
    block: str
    mu: Annotated[float, Field(gt=0)] | None
    sampling: Annotated[float, Field(gt=0, le=1)] | None
    epsilon_cumulative: Epsilon


class PrivacyFigures(_Figures):
    """What is guaranteed to whom.

    Attributes:
        unit: Whose presence is hidden, e.g. ``user``.
        neighbours: How two neighbouring data sets differ, e.g. ``one user added or removed``.
        epsilon: ε of everything released.
        delta: δ that goes with every ε here.
        epsilon_reserved: ε if every permitted attempt were released.
        target_epsilon: ε the plan asked for.
        min_survivors: M, least number of sites in a sum.
        colluding: c, sites that may withhold their noise.
        epsilon_all_honest: ε if every site was present and added its noise.
        epsilon_own_share_only: ε of one site's users if secure aggregation were broken: the
            noise of their own site alone protects them.
        accountant: Name of the accountant of the headline.
        zcdp_epsilon: The cross-check by zero-concentrated differential privacy.
        max_sites_per_person: At how many sites one person may be a user.
        noise_price: Standard deviation of the sum's noise with all N sites present, over what
            would do if all were sure to be present and honest: √(N / (M − c)); null without noise.
        cross_checks: ε by other accountants, by name.
        disagreements: Those of them whose ε cannot be true beside the headline's; see
            `crosschecks.disagreements`.
        releases: Every release, in order.
    """

    unit: str
    neighbours: str
    epsilon: Epsilon
    delta: Annotated[float, Field(ge=0, lt=1)] | None
    epsilon_reserved: Epsilon
    target_epsilon: Epsilon
    min_survivors: Positive
    colluding: Count
    epsilon_all_honest: Epsilon
    epsilon_own_share_only: Epsilon
    accountant: str
    zcdp_epsilon: Epsilon
    max_sites_per_person: Positive
    noise_price: Annotated[float, Field(ge=1)] | None
    cross_checks: dict[str, Epsilon]
    disagreements: tuple[str, ...] = ()
    releases: tuple[Release, ...]


class Abort(_Figures):
    """An attempt that opened nothing, and the code under which it ended."""

    round: Positive
    attempt: Positive
    code: str


class SecureAggregationFigures(_Figures):
    """What the secure sums took.

    Attributes:
        rounds: Sums that were opened.
        attempts: Attempts at them.
        aborted: Attempts that opened nothing.
        aborts: Those attempts.
        bytes_up_per_site: Mean bytes a site sent over the whole run.
        bytes_down_per_site: Mean bytes a site received.
        seconds_by_step: Wall-clock seconds by step, over the whole run.
        bytes_up_by_step: Bytes from all sites by step, where they were counted.
        bytes_down_by_step: Bytes to all sites by step, where they were counted.
    """

    rounds: Count
    attempts: Count
    aborted: Count
    aborts: tuple[Abort, ...]
    bytes_up_per_site: Count
    bytes_down_per_site: Count
    seconds_by_step: dict[str, Seconds]
    bytes_up_by_step: dict[str, Count] = {}
    bytes_down_by_step: dict[str, Count] = {}


class SiteFigures(_Figures):
    """One site. Recall@20 by way to recommend; null where it has no test users.

    Attributes:
        name: Of the site.
        users_declared: Its rounded number of users, as declared in advance.
        test_users: Users its figures are means over.
        popularity: By the noised counts.
        alone: By its best own model.
        global_model: By the federation's model.
        served: By the federation's model with its own data.
        rho: ρ, the weight it chose for its own co-occurrence; it never leaves the site.
        bytes_up: What it sent.
        bytes_down: What it received.
        dropped: Attempts in which it vanished.
    """

    name: str
    users_declared: Count
    test_users: Count
    popularity: Part | None
    alone: Part | None
    global_model: Part | None = Field(validation_alias="global", serialization_alias="global")
    served: Part | None
    rho: Annotated[float, Field(ge=0)] | None
    bytes_up: Count
    bytes_down: Count
    dropped: Count


class Report(_Figures):
    """The whole run.

    Attributes:
        data: What it ran on.
        model: What it trained.
        metrics: What the federation reaches.
        baselines: What it is compared with.
        privacy: What is guaranteed.
        secure_aggregation: What the sums took.
        sites: Every site, in the order of the cohort.
        seconds: Of the whole run.
        seconds_by_stage: Of each stage.
        peak_memory_mb: Largest resident memory, in 10^6 bytes.
        plan_hash: SHA-256 of the plan, hexadecimal.
        version: Of recommons.
        seed: Of everything drawn at random, apart from keys, masks and noise.
        command: The command line that repeats the run.
    """

    data: DataFigures
    model: ModelFigures
    metrics: WaysMeasured
    baselines: Baselines
    privacy: PrivacyFigures
    secure_aggregation: SecureAggregationFigures
    sites: tuple[SiteFigures, ...]
    seconds: Seconds
    seconds_by_stage: dict[str, Seconds]
    peak_memory_mb: Annotated[float, Field(ge=0)]
    plan_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    version: str
    seed: int
    command: str

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if len(self.sites) != self.data.sites:
            raise ValueError(
                f"sites lists {len(self.sites)} sites, data.sites is {self.data.sites}"
            )
        if len(self.secure_aggregation.aborts) != self.secure_aggregation.aborted:
            raise ValueError("secure_aggregation.aborts does not list every aborted attempt")
        if self.privacy.epsilon is not None and self.privacy.delta is None:
            raise ValueError("privacy.delta is null beside a finite epsilon")
        found = disagreements(self.privacy.epsilon, self.privacy.cross_checks)
        if self.privacy.disagreements != found:
            raise ValueError(f"privacy.disagreements must name {list(found)}")
        return self


def report_json(report: Report) -> str:
    """The text of `report.json`: indented, in the order of the schema, ending with a newline."""
    return report.model_dump_json(indent=2, by_alias=True) + "\n"


def parse_report(text: str | bytes, *, source: Path | str = "report.json") -> Report:
    """Read `report.json`.

    Args:
        text: What is in the file.
        source: Where it came from, for the message.

    Raises:
        InvalidInput: It is not the report of a run; the message names every wrong field.
    """
    try:
        return Report.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput("report/invalid", describe_validation(str(source), error)) from None
