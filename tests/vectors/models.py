"""What the vector files hold; `schema.json` is made from these models.

Bytes are lower-case hexadecimal. Integers that may exceed 2^53 are decimal strings. A site is
named by its identifier in transcripts and by its place (from 0) where bytes are computed.
"""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from tests.vectors.operation_models import (
    Bits,
    Code,
    Commitments,
    ContextFields,
    Derivation,
    Hex,
    Integer,
    Masks,
    Messages,
    Parameters,
    Shares,
    Strict,
)

__all__ = [
    "Commitments",
    "Derivation",
    "Masks",
    "Messages",
    "Parameters",
    "Rejected",
    "Rejection",
    "Shares",
    "Transcript",
    "Transcripts",
    "VectorFile",
]

StepOfSite = Literal["1", "3", "5", "7", "9"]


class RoundNumbers(Strict):
    """N, c and M, and the quorum that follows."""

    sites: int
    colluding: int
    survivors: int
    quorum: int


class Shape(Strict):
    """The vector's size and ring."""

    size: int
    bits: Bits


class SiteInput(Strict):
    """What a site brings: its Ed25519 key, its entropy for this attempt, its vector."""

    site: str
    signing_secret: Hex
    signing_public: Hex
    entropy: Hex
    vector: list[Integer]
    cheats: str | None = Field(default=None, description="how it departs from the protocol")


class SiteSecrets(Strict):
    """What a site derives: a and e, and b where it got as far as step 3."""

    mask_private: Hex
    encryption_private: Hex
    seed: Hex | None = None


class Result(Strict):
    """The opened sum: ring coordinates as wire bytes, and centred."""

    survivors: list[str]
    wire: Hex
    values: list[Integer]
    vector_hashes: dict[str, Hex]


class Ending(Strict):
    """How an attempt ended without a sum: what the coordinator was closing, and the code."""

    step: Literal[1, 3, 5, 7, 9]
    code: Code


class Transcript(Strict):
    """Every message of one attempt.

    `uploads` are the messages that reached the coordinator, by site and step; `broadcasts` the
    messages 2, 6 and 8, the same for all who got them; `inboxes` message 4 by site.
    """

    name: str
    context: ContextFields
    parameters: RoundNumbers
    shape: Shape
    spec: Hex
    public_state: Hex
    sites: list[SiteInput]
    lost: dict[str, int] = Field(description="first step whose message never arrived, by site")
    full: Hex | None = None
    secrets: dict[str, SiteSecrets]
    uploads: dict[str, dict[StepOfSite, Hex]]
    broadcasts: dict[Literal["2", "6", "8"], Hex]
    inboxes: dict[str, Hex]
    excluded: dict[str, Code] = Field(description="sites set aside, and why")
    result: Result | None = None
    ending: Ending | None = None


class Transcripts(Strict):
    """The file `transcripts-*.json`."""

    file: Literal["transcripts"]
    transcripts: list[Transcript]


class VerifiedRule(Strict):
    """A site's rule on verified peers."""

    peers: list[str]
    least: int


class Rejection(Strict):
    """One message that the receiver refuses, and under which code.

    A receiving site has taken every message of the transcript up to its own step `after` (1, 3,
    5, 7 or 9); it takes `message` as one of kind `kind`. A receiving coordinator has closed every
    step before `kind` and received this step's messages of the sites in `already`; then `message`
    comes from `sender`. `ends`: the site gives the attempt up, or the coordinator excludes the
    sender.
    """

    name: str
    transcript: str
    receiver: str = Field(description="a site's identifier, or 'coordinator'")
    kind: Annotated[int, Field(ge=1, le=9)]
    after: Literal[1, 3, 5, 7, 9] | None = None
    sender: str | None = None
    already: list[str] = Field(default_factory=list)
    verified: VerifiedRule | None = None
    pinned_state_hash: Hex | None = None
    message: Hex
    code: Code
    ends: bool


class Rejected(Strict):
    """The file `rejected.json`."""

    file: Literal["rejected"]
    cases: list[Rejection]


class VectorFile(
    RootModel[
        Annotated[
            Derivation
            | Masks
            | Shares
            | Commitments
            | Messages
            | Parameters
            | Transcripts
            | Rejected,
            Field(discriminator="file"),
        ]
    ]
):
    """Any of the files."""
