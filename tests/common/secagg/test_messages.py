"""Messages are read once, strictly, and have one encoding; and they are small."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg import merkle, messages
from recommons.common.secagg.messages import MessageKind, message_context
from recommons.common.secagg.ring import RING_WIDTHS

if TYPE_CHECKING:
    from tests.common.secagg.conftest import Federation, Play


class Message(Protocol):
    def to_bytes(self) -> bytes: ...


PARSERS: dict[MessageKind, Callable[[bytes], Message]] = {
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


@pytest.fixture(scope="module")
def sent(federation: "type[Federation]", play: "type[Play]") -> dict[MessageKind, bytes]:
    game = play(federation(5), drops={"site-4": 5}).run()
    return {kind: game.sent[kind, "site-1"] for kind in MessageKind}


@pytest.mark.parametrize("kind", list(MessageKind))
def test_a_message_has_one_encoding(sent: dict[MessageKind, bytes], kind: MessageKind) -> None:
    parsed = PARSERS[kind](sent[kind])
    assert parsed.to_bytes() == sent[kind]
    assert PARSERS[kind](parsed.to_bytes()) == parsed
    assert message_context(sent[kind])[0] is kind


@pytest.mark.parametrize("kind", list(MessageKind))
def test_any_change_of_length_is_refused(sent: dict[MessageKind, bytes], kind: MessageKind) -> None:
    good = sent[kind]
    for bad in (*(good[:n] for n in range(0, len(good), 7)), good[:-1], good + b"\x00", good * 2):
        with pytest.raises(ProtocolAbort) as caught:
            PARSERS[kind](bad)
        assert caught.value.code == "secagg/malformed"


@pytest.mark.parametrize("kind", list(MessageKind))
def test_other_kinds_and_versions_are_refused(
    sent: dict[MessageKind, bytes], kind: MessageKind
) -> None:
    for other in MessageKind:
        if other is not kind:
            with pytest.raises(ProtocolAbort) as caught:
                PARSERS[kind](sent[other])
            assert caught.value.code == "secagg/out-of-order"
    for version in (0, 2, 255):
        with pytest.raises(ProtocolAbort) as caught:
            message_context(bytes([version]) + sent[kind][1:])
        assert caught.value.code == "secagg/version"
    for unknown in (0, 10, 255):
        with pytest.raises(ProtocolAbort) as caught:
            message_context(sent[kind][:1] + bytes([unknown]) + sent[kind][2:])
        assert caught.value.code == "secagg/malformed"


@given(st.sampled_from(list(MessageKind)), st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_or_read_back_exactly(kind: MessageKind, data: bytes) -> None:
    for message in (data, bytes([1, kind]) + data):
        try:
            parsed = PARSERS[kind](message)
        except ProtocolAbort:
            continue
        assert parsed.to_bytes() == message


@given(st.data())
def test_changed_messages_are_refused_or_read_back_exactly(
    sent: dict[MessageKind, bytes], data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(list(MessageKind)))
    good = sent[kind]
    place = data.draw(st.integers(0, len(good) - 1))
    message = good[:place] + data.draw(st.binary(min_size=1, max_size=3)) + good[place + 1 :]
    try:
        parsed = PARSERS[kind](message)
    except ProtocolAbort:
        return
    assert parsed.to_bytes() == message


@pytest.mark.parametrize(
    ("kind", "place", "field"),
    [
        (MessageKind.KEYS, 34 + 3 + 5 * 128, (2**20 + 1).to_bytes(8, "big")),
        (MessageKind.KEYS, 34 + 3 + 5 * 128, b"\xff" * 8),
        (MessageKind.INBOX, 34 + 2 + 3, b"\x0d"),
        (MessageKind.MASKED, 34 + 2 + 3, b"\x48"),
        (MessageKind.MASKED, 34 + 2 + 3, b"\x00"),
        (MessageKind.MASKED, 34 + 2 + 3 + 1, b"\xff" * 8),
        (MessageKind.SHARES, 34, b"\x00\x09"),
    ],
)
def test_fields_out_of_bounds_are_refused(
    sent: dict[MessageKind, bytes], kind: MessageKind, place: int, field: bytes
) -> None:
    good = sent[kind]
    with pytest.raises(ProtocolAbort) as caught:
        PARSERS[kind](good[:place] + field + good[place + len(field) :])
    assert caught.value.code == "secagg/malformed"


def malformed(kind: MessageKind, message: Message) -> None:
    with pytest.raises(ProtocolAbort) as caught:
        PARSERS[kind](message.to_bytes())
    assert caught.value.code == "secagg/malformed"


def test_well_formed_messages_beyond_the_bounds_are_refused(
    sent: dict[MessageKind, bytes],
) -> None:
    keys = messages.Keys.from_bytes(sent[MessageKind.KEYS])
    assert PARSERS[MessageKind.KEYS](replace(keys, spec=bytes(2**20)).to_bytes())
    malformed(MessageKind.KEYS, replace(keys, spec=bytes(2**20 + 1)))
    inbox = messages.Inbox.from_bytes(sent[MessageKind.INBOX])
    deep = tuple(replace(entry, path=bytes(32 * 13)) for entry in inbox.entries)
    malformed(MessageKind.INBOX, replace(inbox, levels=13, entries=deep))
    reveal = messages.Reveal.from_bytes(sent[MessageKind.REVEAL])
    fewer, more, openings = reveal.dealers.without(0), reveal.dealers, reveal.openings[49:]
    wrong = replace(reveal, dealers=fewer, survivors=more, openings=openings)
    malformed(MessageKind.REVEAL, wrong)


@pytest.mark.parametrize(("sites", "colluding"), [(3, 0), (8, 1), (24, 5)])
def test_a_site_spends_at_most_a_kilobyte_per_site_of_the_cohort_beside_its_vector(
    federation: "type[Federation]", play: "type[Play]", sites: int, colluding: int
) -> None:
    game = play(federation(sites, colluding=colluding, bits=32)).run()
    for name in game.federation.names:
        spent = {kind: len(m) for (kind, whose), m in game.sent.items() if whose == name}
        vector = game.federation.shape.wire_bytes
        assert spent[MessageKind.MASKED] - vector <= 200
        others = sum(spent.values()) - spent[MessageKind.MASKED]
        assert others <= 1024 * sites


@pytest.mark.parametrize("bits", RING_WIDTHS)
def test_a_masked_upload_is_the_vector_and_less_than_two_percent(
    federation: "type[Federation]", play: "type[Play]", bits: int
) -> None:
    """From some thousand coordinates on, in every width; the rest of the message is of one size."""
    fed = federation(4, bits=bits, size=20_000)
    game = play(fed).run()
    assert game.result is not None
    for name in fed.names:
        sent, vector = len(game.sent[MessageKind.MASKED, name]), 20_000 * bits // 8
        assert sent <= 1.02 * vector
        assert sent - vector == 34 + 2 + (2 + 1) + 1 + 8 + 64


def test_the_largest_cohorts_inbox_entry_keeps_the_sum_under_a_kilobyte() -> None:
    """At 1000 sites, by the grammar: everything a site sends and receives for one peer."""
    keys, shares, certificate, reveal = 128, 64 + 114, 64, 49
    inbox = 32 + 64 + 114 + 32 * merkle.depth(1000) + 64
    assert keys + shares + inbox + certificate + reveal <= 1024
