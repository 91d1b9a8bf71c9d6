"""Release notes as a coordinator publishes them."""

from collections.abc import Mapping

from recommons.common.published import PublishedFile, ReleaseNote
from recommons.common.secagg.identity import SigningIdentity

COORDINATOR = SigningIdentity(b"c" * 32)


def make_note(
    contents: Mapping[str, bytes], signer: SigningIdentity = COORDINATOR, **changed: object
) -> ReleaseNote:
    """A signed note on these files, the first of the federation ``fruit`` unless said otherwise."""
    fields: dict[str, object] = {
        "federation": "fruit",
        "number": 1,
        "run": "ab" * 16,
        "plan": "cd" * 32,
        "model": "als",
        "arrays": "ef" * 32,
        "epsilon": 8.0,
        "delta": 1e-6,
        "files": {name: PublishedFile.of(content) for name, content in contents.items()},
        "previous": "",
    }
    return ReleaseNote.model_validate(fields | changed).signed(signer)
