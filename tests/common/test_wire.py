import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput
from recommons.common.wire import EXCHANGES, Envelope

envelopes = st.builds(
    Envelope,
    run_id=st.binary(min_size=16, max_size=16),
    exchange=st.sampled_from(EXCHANGES),
    round=st.integers(0, 2**31 - 1),
    attempt=st.integers(0, 2**31 - 1),
)


@given(envelopes)
def test_an_envelope_survives_the_wire(envelope: Envelope) -> None:
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope


@given(envelopes, st.data())
def test_no_changed_byte_gives_the_same_envelope(envelope: Envelope, data: st.DataObject) -> None:
    raw = bytearray(envelope.to_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = Envelope.from_bytes(bytes(raw))
    except InvalidInput:
        return
    assert changed != envelope


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"attempt":0,"exchange":"join","round":0,"run":"00","version":1}',
        b'{"attempt":-1,"exchange":"join","round":0,"run":"' + b"0" * 32 + b'","version":1}',
        b'{"attempt":true,"exchange":"join","round":0,"run":"' + b"0" * 32 + b'","version":1}',
        b'{"attempt":0,"exchange":"execute","round":0,"run":"' + b"0" * 32 + b'","version":1}',
        b'{"attempt":0,"exchange":"join","round":0,"run":"' + b"0" * 32 + b'","version":2}',
        b'{"attempt":0, "exchange":"join","round":0,"run":"' + b"0" * 32 + b'","version":1}',
    ],
)
def test_anything_else_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Envelope.from_bytes(raw)
    assert refusal.value.code == "site/message"
