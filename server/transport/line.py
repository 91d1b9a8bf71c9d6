"""The thin shell between rounds and Flower's grid: push, wait under our own deadline, collect."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from recommons.common.errors import ProtocolAbort
from recommons.common.wire import Envelope
from recommons.server.transport.mail import Mail, mail_of
from recommons.server.transport.wakeups import Wakeups

__all__ = ["LAST_WORDS_SECONDS", "Answer", "Line", "Refused", "Silent"]

_RECORD = "recommons"
_LAST_WORDS = frozenset({"finish", "anchor"})
"""What ends a run at the sites: waited for even in a hurry, if not for long."""

LAST_WORDS_SECONDS = 30.0
"""How long that is."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A site's reply."""

    body: bytes


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A site declined, with a named code."""

    code: str


@dataclass(frozen=True, kw_only=True)
class Silent:
    """Nothing usable came back before the deadline."""

    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """The coordinator's line to the sites.

    Attributes:
        grid: Flower's grid; its `send_and_receive` is not used because it sleeps 3 s a poll.
        mail: How messages are carried.
        wakeups: Nudges to and from the gateway, where there is one.
        hurried: Whether the operator wants the run to stop at once.
    """

    grid: Grid
    mail: Mail
    wakeups: Wakeups
    hurried: Callable[[], bool]

    def nodes(self) -> list[int]:
        """Flower's ids of the nodes that are connected."""
        return list(self.grid.get_node_ids())

    def exchange(
        self, envelope: Envelope, bodies: Mapping[int, bytes], *, deadline_seconds: float
    ) -> dict[int, Answer | Refused | Silent]:
        """Send one request to each node and wait for the replies.

        Args:
            envelope: The exchange.
            bodies: Request body by node id.
            deadline_seconds: When to give up on those who have not replied.

        Returns:
            One outcome for every node of `bodies`.

        Raises:
            ProtocolAbort: ``run/stopped``: the operator does not want to wait.
        """
        if not bodies:
            return {}  # Flower refuses a push of nothing
        last_words = envelope.exchange in _LAST_WORDS
        begun = time.monotonic()
        end = begun + deadline_seconds
        header = envelope.to_bytes()
        # One record for all who are sent the same: it is written and hashed once.
        records = {
            id(body): RecordDict({_RECORD: ConfigRecord({"envelope": header, "body": body})})
            for body in bodies.values()
        }
        messages = [
            Message(
                records[id(body)],
                node,
                f"train.{envelope.exchange}",
                ttl=deadline_seconds,
                group_id=f"{envelope.round}.{envelope.attempt}",
            )
            for node, body in bodies.items()
        ]
        pending = dict(zip(self.mail.push(messages), bodies, strict=True))
        self.wakeups.nudge()
        outcomes: dict[int, Answer | Refused | Silent] = {
            node: Silent(reason="not reachable") for sent, node in pending.items() if not sent
        }
        pending = {sent: node for sent, node in pending.items() if sent}
        everyone = list(pending)
        try:
            while pending:
                for sent, reply in self.mail.pull(list(pending)).items():
                    if sent in pending:
                        outcomes[pending.pop(sent)] = _outcome(reply)
                hurried = bool(pending) and self.hurried()
                if hurried and last_words:
                    end = min(end, begun + LAST_WORDS_SECONDS)
                left = end - time.monotonic()
                if not pending or left <= 0:
                    break
                if hurried and not last_words:
                    raise ProtocolAbort("run/stopped", "the operator stopped the run at once")
                self.wakeups.wait(min(left, self.mail.pause_seconds))
        finally:
            self.mail.close(everyone)
        return outcomes | {node: Silent(reason="deadline passed") for node in pending.values()}

    @classmethod
    def of(
        cls,
        grid: Grid,
        wakeups: Wakeups | None = None,
        hurried: Callable[[], bool] = lambda: False,
    ) -> Self:
        """The line over a grid."""
        heard = Wakeups.of_nobody() if wakeups is None else wakeups
        return cls(grid=grid, mail=mail_of(grid), wakeups=heard, hurried=hurried)


def _outcome(reply: Message | None) -> Answer | Refused | Silent:
    if reply is None:
        return Silent(reason="not a message")
    if reply.has_error():
        return Silent(reason=f"error {reply.error.code}")
    record = reply.content.config_records.get(_RECORD)
    if record is None:
        return Silent(reason="not a Recommons reply")
    match record.get("body"), record.get("refusal"):
        case bytes(body), None:
            return Answer(body=body)
        case None, str(code):
            return Refused(code=code)
    return Silent(reason="not a Recommons reply")
