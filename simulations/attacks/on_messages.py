"""Messages that are none: cut, stretched, of another kind, with counts that are not there."""

from collections.abc import Callable

from recommons.common.secagg.envelope import HEADER_BYTES
from recommons.common.secagg.messages import Keys
from recommons.common.wire import Exchange
from recommons.simulations.attacks.attack import TARGET, Attack, Ended
from recommons.simulations.attacks.stage import Stage

__all__ = ["ATTACKS"]

_ONCE = "messages are parsed once, strictly: every field bounded, nothing missing or left over"
_HEADER = HEADER_BYTES
_STEPS: tuple[Exchange, ...] = ("shares", "masked", "sign", "reveal")


def _changed(exchange: Exchange, change: Callable[[bytes], bytes]) -> Callable[[Stage], Ended]:
    def run(stage: Stage) -> Ended:
        body = change(stage.honest.message_for(TARGET))
        return Ended(code=stage.refusal(TARGET, exchange, body), victims=(TARGET,))

    return run


def _large_cohort(body: bytes) -> bytes:
    return body[:_HEADER] + b"\xff\xff" + body[_HEADER + 2 :]


def _all_of_4096(body: bytes) -> bytes:
    return body[:_HEADER] + (4096).to_bytes(2, "big") + b"\xff" * 512 + body[_HEADER + 3 :]


def _endless_state(body: bytes) -> bytes:
    """The length of the last field of `Keys`, the public state, says 2^63."""
    state = Keys.from_bytes(body).public_state
    return body[: -len(state) - 8] + (1 << 63).to_bytes(8, "big") + state


def _wrong_kind(stage: Stage) -> Ended:
    body = stage.honest.message_for(TARGET)
    return Ended(code=stage.refusal(TARGET, "masked", body), victims=(TARGET,))


_SHAPES: tuple[tuple[str, str, Callable[[bytes], bytes], str], ...] = (
    ("empty", "sends nothing at all", lambda body: b"", "secagg/malformed"),
    ("truncated", "cuts the last byte off", lambda body: body[:-1], "secagg/malformed"),
    ("stretched", "adds a byte", lambda body: body + b"\0", "secagg/malformed"),
    ("oversized", "adds a megabyte", lambda body: body + bytes(1 << 20), "secagg/malformed"),
    (
        "other-version",
        "names another version of the protocol",
        lambda body: b"\x02" + body[1:],
        "secagg/version",
    ),
)

ATTACKS = (
    *(
        Attack(
            name=f"{shape}-{exchange}-message",
            does=f"{does}, in the request of {exchange!r}",
            gains="a parser that guesses, or a site that hangs with its secrets in memory",
            rule=_ONCE,
            code=code,
            run=_changed(exchange, change),
            before=exchange,
        )
        for shape, does, change, code in _SHAPES
        for exchange in _STEPS
    ),
    Attack(
        name="cohort-of-65535",
        does="announces a set over 65535 sites",
        gains="memory and time before any signature is looked at",
        rule=_ONCE,
        code="secagg/malformed",
        run=_changed("shares", _large_cohort),
        before="shares",
    ),
    Attack(
        name="keys-of-4096-that-are-not-there",
        does="announces 4096 advertisements and sends five",
        gains="memory and time before any signature is looked at",
        rule=_ONCE,
        code="secagg/malformed",
        run=_changed("shares", _all_of_4096),
        before="shares",
    ),
    Attack(
        name="state-of-8-exabytes",
        does="announces a public state of 2^63 bytes",
        gains="memory and time before any signature is looked at",
        rule=_ONCE,
        code="secagg/malformed",
        run=_changed("shares", _endless_state),
        before="shares",
    ),
    Attack(
        name="keys-for-an-inbox",
        does="sends the message of one step in the exchange of another",
        gains="a state machine that skips a check",
        rule="steps in order, each once",
        code="secagg/out-of-order",
        run=_wrong_kind,
        before="shares",
    ),
)
