import json

import pytest

from recommons.common.errors import InvalidInput
from recommons.common.sealing import SEAL_BYTES, seal, unseal

SECRET, PURPOSE, RANDOM = b"k" * 32, "federation key", bytes(range(SEAL_BYTES))


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return seal(SECRET, "correct horse", purpose=PURPOSE, random=RANDOM)


def test_the_passphrase_gives_the_secret_back(sealed: bytes) -> None:
    assert unseal(sealed, "correct horse", purpose=PURPOSE) == SECRET
    assert SECRET.hex() not in sealed.decode()


@pytest.mark.parametrize(("passphrase", "purpose"), [("wrong horse", PURPOSE), ("", PURPOSE)])
def test_another_passphrase_does_not(sealed: bytes, passphrase: str, purpose: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        unseal(sealed, passphrase, purpose=purpose)
    assert refused.value.code == "federation/passphrase"


def test_a_secret_for_one_purpose_is_none_for_another(sealed: bytes) -> None:
    with pytest.raises(InvalidInput):
        unseal(sealed, "correct horse", purpose="other")
    renamed = sealed.replace(PURPOSE.encode(), b"other")
    with pytest.raises(InvalidInput):
        unseal(renamed, "correct horse", purpose="other")


@pytest.mark.parametrize("field", ["cost", "salt", "nonce", "secret", "version"])
def test_an_altered_file_is_refused_and_asks_for_no_memory(sealed: bytes, field: str) -> None:
    fields = json.loads(sealed)
    value = fields[field]
    fields[field] = value * 2**20 if isinstance(value, int) else "00" + value[2:] + "0" * 2
    with pytest.raises(InvalidInput):
        unseal(json.dumps(fields).encode(), "correct horse", purpose=PURPOSE)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"nonce":1,"secret":2}'])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        unseal(data, "correct horse", purpose=PURPOSE)


def test_a_short_passphrase_seals_nothing() -> None:
    with pytest.raises(InvalidInput) as refused:
        seal(SECRET, "1234567", purpose=PURPOSE, random=RANDOM)
    assert refused.value.code == "federation/passphrase"
