"""One plan at one ε, as `recommons compare` found it."""

from dataclasses import dataclass

__all__ = ["Point"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One plan at one ε: means over runs.

    Attributes:
        name: The plan.
        epsilon: As it was asked for.
        runs: Whole runs.
        alone: The metric of sites alone.
        global_model: Of the federation's model.
        served: Of what sites serve.
        served_deviation: Standard deviation of `served` over runs; None for one run.
        bytes_up: Bytes that a site sent.
        bytes_down: Bytes that a site received.
        rounds: Secure sums.
        training_seconds: Of the rounds, all sites in one process.
    """

    name: str
    epsilon: str
    runs: int
    alone: float
    global_model: float
    served: float
    served_deviation: float | None
    bytes_up: float
    bytes_down: float
    rounds: int
    training_seconds: float
