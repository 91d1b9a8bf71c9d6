from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput
from recommons.common.invitation import Invitation, InvitationKeys

INVITATION = Invitation(
    federation="fruit",
    site="plum",
    address="coordinator.example:9444",
    authority=b"a" * 32,
    federation_key="0f" * 20,
    secret=b"s" * 16,
    expires=1_800_000_000,
)


def test_a_token_is_one_line_and_is_read_as_it_was_written() -> None:
    text = INVITATION.to_text()
    assert text.startswith("rcm1-")
    assert len(text.split()) == 1
    assert Invitation.from_text(text) == INVITATION


def test_line_breaks_of_a_mail_program_do_no_harm() -> None:
    text = INVITATION.to_text()
    assert Invitation.from_text(f"  {text[:70]}\r\n{text[70:140]}\n {text[140:]}\n") == INVITATION


@given(st.integers(0, len(INVITATION.to_text()) - 1), st.sampled_from("AZaz09-_= é"))
def test_one_wrong_character_is_noticed(place: int, character: str) -> None:
    text = INVITATION.to_text()
    changed = text[:place] + character + text[place + 1 :]
    if "".join(changed.split()) == text:
        return
    with pytest.raises(InvalidInput) as refused:
        Invitation.from_text(changed)
    assert refused.value.code == "enrolment/token"
    assert text[10:40] not in refused.value.message


@given(st.integers(0, len(INVITATION.to_text()) - 1))
def test_a_line_that_was_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(InvalidInput, match="invitation"):
        Invitation.from_text(INVITATION.to_text()[:length])


@given(st.text(max_size=300))
def test_nothing_else_is_a_token(text: str) -> None:
    with pytest.raises(InvalidInput):
        Invitation.from_text(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"federation": "Fruit"},
        {"site": "../etc"},
        {"address": "https://coordinator"},
        {"address": "user@host:1"},
        {"address": "host:1/path"},
        {"authority": b"a"},
        {"federation_key": "0F" * 20},
        {"secret": b""},
        {"expires": -1},
    ],
)
def test_fields_out_of_bounds_make_no_invitation(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(INVITATION, **wrong)  # type: ignore[arg-type]


def test_a_proof_holds_for_its_own_invitation_purpose_and_body_alone() -> None:
    keys = INVITATION.keys
    proof = keys.sign("apply", b"body")
    assert keys.holds(proof, "apply", b"body")
    assert not keys.holds(proof, "offer", b"body")
    assert not keys.holds(proof, "apply", b"other")
    assert not InvitationKeys.of(b"t" * 16).holds(proof, "apply", b"body")


def test_the_secret_is_in_no_text_but_the_token() -> None:
    assert "s" * 16 not in repr(INVITATION)
    assert INVITATION.secret not in INVITATION.keys.name + INVITATION.keys.mac
