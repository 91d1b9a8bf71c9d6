"""The thin shell between rounds and Flower's grid: push, poll under our own deadline, collect."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from recommons.common.wire import Envelope

__all__ = ["Answer", "Refused", "Silent", "exchange"]

_RECORD = "recommons"


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


def exchange(
    grid: Grid,
    envelope: Envelope,
    bodies: Mapping[int, bytes],
    *,
    deadline_seconds: float,
    poll_seconds: float = 0.005,
) -> dict[int, Answer | Refused | Silent]:
    """Send one request to each node and wait for the replies.

    Args:
        grid: Flower's grid; `send_and_receive` is not used because it sleeps 3 s a poll.
        envelope: The exchange.
        bodies: Request body by node id.
        deadline_seconds: When to give up on those who have not replied.
        poll_seconds: Pause between polls.

    Returns:
        One outcome for every node of `bodies`.
    """
    end = time.monotonic() + deadline_seconds
    header = envelope.to_bytes()
    messages = [
        Message(
            RecordDict({_RECORD: ConfigRecord({"envelope": header, "body": body})}),
            node,
            f"train.{envelope.exchange}",
            ttl=deadline_seconds,
            group_id=f"{envelope.round}.{envelope.attempt}",
        )
        for node, body in bodies.items()
    ]
    pending = dict(zip(grid.push_messages(messages), bodies, strict=True))
    outcomes: dict[int, Answer | Refused | Silent] = {
        node: Silent(reason="not reachable") for sent, node in pending.items() if not sent
    }
    pending = {sent: node for sent, node in pending.items() if sent}
    while pending:
        for reply in grid.pull_messages(list(pending)):
            node = pending.pop(reply.metadata.reply_to_message_id, None)
            if node is not None:
                outcomes[node] = _outcome(reply)
        if not pending or time.monotonic() >= end:
            break
        time.sleep(poll_seconds)
    return outcomes | {node: Silent(reason="deadline passed") for node in pending.values()}


def _outcome(reply: Message) -> Answer | Refused | Silent:
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
