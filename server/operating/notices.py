"""What in a run is worth telling: notices of a round's events, and how long the rest will take."""

from dataclasses import dataclass

from recommons.common.units import byte_size, epsilon_text
from recommons.server.rounds.progress import STEPS, RoundProgress

__all__ = ["Notice", "notices", "part_done", "spent_words", "time_left", "traffic_words"]

_ORDER = tuple(STEPS)


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A line worth keeping.

    Attributes:
        text: The line.
        calm: Things go as planned; otherwise a site was lost, or an attempt.
    """

    text: str
    calm: bool = False


def notices(before: RoundProgress | None, event: RoundProgress) -> list[Notice]:
    """What is worth a line of its own in an event: dropouts, retries, messages, a release.

    Args:
        before: The event before this one, None for the first.
        event: The event.
    """
    last = before if before and _attempt(before) == _attempt(event) else None
    where = f"round {event.round} of {event.rounds}"
    if event.attempt > 1:
        where += f", attempt {event.attempt}"
    found = []
    if event.attempt > 1 and last is None:
        found.append(Notice(text=f"{where}: starting over with new keys and new noise"))
    lost = [name for name in event.dropped if last is None or name not in last.dropped]
    if lost:
        held = f"{event.sites_in} of {event.sites_total} sites still in"
        found.append(Notice(text=f"{where}: lost {', '.join(lost)} by step {event.step!r}; {held}"))
    if event.message and (last is None or last.message != event.message):
        found.append(Notice(text=f"{where}: {event.message}"))
    if event.step == "release" and (last is None or last.step != "release"):
        found.append(Notice(text=f"{where} released: {_standing(event)}", calm=True))
    return found


def _attempt(event: RoundProgress) -> tuple[int, int]:
    return event.round, event.attempt


def _standing(event: RoundProgress) -> str:
    parts = [f"{event.sites_in} of {event.sites_total} sites", traffic_words(event)]
    if event.epsilon_spent is not None:
        parts.append(spent_words(event))
    return ", ".join(parts)


def traffic_words(event: RoundProgress) -> str:
    """Bytes up and down since the run was taken up."""
    return f"{byte_size(event.bytes_up)} up, {byte_size(event.bytes_down)} down"


def spent_words(event: RoundProgress) -> str:
    """ε spent of the target."""
    if event.epsilon_spent is None:
        return "no privacy noise"
    target = "" if event.epsilon_target is None else f" of {event.epsilon_target:g}"
    return f"ε {epsilon_text(event.epsilon_spent)}{target} spent"


def time_left(event: RoundProgress, since_first: float) -> float | None:
    """Seconds until the last round ends, if the rounds to come are like those so far.

    Args:
        event: The latest event.
        since_first: Seconds since the first event.

    Returns:
        None before a third of the first round, when nothing could be said.
    """
    done = part_done(event)
    if done * event.rounds < 1 / 3:
        return None
    return since_first * (1 - done) / done


def part_done(event: RoundProgress) -> float:
    """The part of all rounds that lies behind, each step counting the same."""
    return (event.round - 1 + _ORDER.index(event.step) / len(STEPS)) / event.rounds
