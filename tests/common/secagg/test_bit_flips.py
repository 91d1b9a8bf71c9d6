"""One bit flipped in any field of any message never leads to a wrong sum."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from recommons.common.secagg import messages, wire
from recommons.common.secagg.messages import MessageKind

if TYPE_CHECKING:
    from tests.common.secagg.conftest import Federation, Play

VICTIM = "site-1"
PARSERS: dict[MessageKind, Callable[[bytes], object]] = {
    MessageKind.ADVERTISE: messages.Advertise.from_bytes,
    MessageKind.KEYS: messages.Keys.from_bytes,
    MessageKind.SHARES: messages.Shares.from_bytes,
    MessageKind.INBOX: messages.Inbox.from_bytes,
    MessageKind.MASKED: messages.Masked.from_bytes,
    MessageKind.SURVIVORS: messages.Survivors.from_bytes,
    MessageKind.SIGNATURE: messages.Signature.from_bytes,
    MessageKind.CERTIFICATE: messages.Certificate.from_bytes,
    MessageKind.REVEAL: messages.Reveal.from_bytes,
}


def fields_of(kind: MessageKind, data: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[range]:
    """The places of every field, as the parser itself takes them."""
    spans: list[range] = []
    honest = wire.Reader.view

    def view(reader: wire.Reader, length: int) -> memoryview:
        spans.append(range(reader._place, reader._place + length))
        return honest(reader, length)

    with monkeypatch.context() as patch:
        patch.setattr(wire.Reader, "view", view)
        PARSERS[kind](data)
    # The parser leaves nothing out, so neither do the fields.
    assert [place for span in spans for place in span] == list(range(len(data)))
    return (span for span in spans if span)


@pytest.mark.parametrize("kind", list(MessageKind))
def test_a_flipped_bit_ends_in_refusal_abort_or_exclusion_never_in_a_wrong_sum(
    federation: "type[Federation]",
    play: "type[Play]",
    monkeypatch: pytest.MonkeyPatch,
    kind: MessageKind,
) -> None:
    fed = federation(4)
    drops = {"site-3": 5}
    honest = play(fed, drops=drops).run()
    assert honest.result is not None
    message = honest.sent[kind, VICTIM]
    noticed = 0
    flips = [
        (place, bit)
        for number, span in enumerate(fields_of(kind, message, monkeypatch))
        for place, bit in ((span[0], 7 - number % 8), (span[-1], (3 * number) % 8))
    ]
    for place, bit in flips:
        flipped = bytes(b ^ (1 << bit) if i == place else b for i, b in enumerate(message))

        def tamper(found: MessageKind, name: str, sent: bytes) -> bytes:
            return flipped if (found, name) == (kind, VICTIM) else sent  # noqa: B023

        end = play(fed, drops=drops, tamper=tamper).run()
        refused = bool(end.site_codes) or bool(end.coordinator.excluded)
        noticed += refused or end.result is None
        if end.result is None:
            assert end.code is not None
        else:
            assert end.result.values.tolist() == fed.plain_sum(end.result.survivors)
    assert noticed == len(flips)
