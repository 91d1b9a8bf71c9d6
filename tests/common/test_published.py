import hashlib
import json

import pytest

from recommons.common.errors import InvalidInput
from recommons.common.published import FILES, ReleaseNote, check_history
from recommons.common.secagg.identity import SigningIdentity
from tests.release_notes import COORDINATOR, make_note

CONTENTS = {name: name.encode() * 3 for name in FILES}


def note(number: int = 1, previous: str = "", **changed: object) -> ReleaseNote:
    return make_note(CONTENTS, COORDINATOR, number=number, previous=previous, **changed)


def code(refused: pytest.ExceptionInfo[InvalidInput]) -> str:
    return refused.value.code


def test_a_note_is_read_back_and_holds() -> None:
    read = ReleaseNote.from_bytes(note().to_bytes())
    assert read == note()
    read.check("fruit", COORDINATOR.public_key)
    read.check_files(CONTENTS)
    assert read.files[FILES[0]].sha256 == hashlib.sha256(CONTENTS[FILES[0]]).hexdigest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 2),
        ("run", "00" * 16),
        ("plan", "00" * 32),
        ("model", "ease"),
        ("arrays", "00" * 32),
        ("epsilon", 1.0),
        ("delta", 0.5),
        ("previous", "00" * 32),
    ],
)
def test_no_field_can_be_changed_under_the_signature(name: str, value: object) -> None:
    changed = note().model_copy(update={name: value})
    with pytest.raises(InvalidInput) as refused:
        changed.check("fruit", COORDINATOR.public_key)
    assert code(refused) == "release/signature"


def test_another_federations_and_another_keys_note_are_refused() -> None:
    other = SigningIdentity(b"x" * 32)
    for federation, key in (("roots", COORDINATOR.public_key), ("fruit", other.public_key)):
        with pytest.raises(InvalidInput) as refused:
            note().check(federation, key)
        assert code(refused) == "release/signature"
    unsigned = note().model_copy(update={"signature": ""})
    with pytest.raises(InvalidInput):
        unsigned.check("fruit", COORDINATOR.public_key)


def test_a_file_that_is_another_or_missing_is_refused() -> None:
    name = FILES[0]
    longer, flipped = CONTENTS[name] + b"x", b"x" + CONTENTS[name][1:]
    for contents in ({**CONTENTS, name: longer}, {**CONTENTS, name: flipped}, {}):
        with pytest.raises(InvalidInput) as refused:
            note().check_files(contents)
        assert code(refused) == "release/corrupt"


def test_only_canonical_bytes_with_exactly_the_files_are_a_note() -> None:
    fields = json.loads(note().to_bytes())
    spaced = json.dumps(fields).encode()
    fewer = ReleaseNote.model_validate(
        fields | {"files": {FILES[0]: fields["files"][FILES[0]]}}
    ).to_bytes()
    renamed = ReleaseNote.model_validate(
        fields | {"files": {"../x": fields["files"][FILES[0]], **fields["files"]}}
    ).to_bytes()
    for data in (spaced, fewer, renamed, b"", b"{}", b"[" * 5000, b" " * 70_000):
        with pytest.raises(InvalidInput) as refused:
            ReleaseNote.from_bytes(data)
        assert code(refused) == "release/corrupt"


def test_a_history_that_goes_back_or_skips_is_refused() -> None:
    first = note()
    second = note(2, first.hash.hex())
    check_history([first, second])
    check_history([])
    for notes in ([second], [first, note(2)], [first, first], [first, note(3, first.hash.hex())]):
        with pytest.raises(InvalidInput) as refused:
            check_history(notes)
        assert code(refused) == "release/history"
