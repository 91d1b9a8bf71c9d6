"""What the vector files hold; `schema.json` is made from these models.

Bytes are lower-case hexadecimal. Integers that may exceed 2^53 are decimal strings. A site is
named by its identifier in transcripts and by its place (from 0) where bytes are computed.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

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

Hex = Annotated[str, StringConstraints(pattern="^([0-9a-f]{2})*$")]
Integer = Annotated[str, StringConstraints(pattern="^-?(0|[1-9][0-9]*)$")]
Code = Annotated[str, StringConstraints(pattern="^secagg/[a-z-]+$")]
Place = Annotated[int, Field(ge=0, lt=4096)]
Bits = Literal[8, 16, 24, 32, 40, 48, 56, 64]
StepOfSite = Literal["1", "3", "5", "7", "9"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SiteSetOf(_Strict):
    """A set of sites: the cohort's size and the members' places, ascending."""

    size: int
    members: list[Place]


class ContextFields(_Strict):
    """What names an attempt, with its hash."""

    federation: str
    run: Hex
    round: int
    attempt: int
    cohort: list[str]
    roster: str = Field(description="canonical JSON")
    roster_hash: Hex
    plan_hash: Hex
    ctx: Hex


class Expansion(_Strict):
    """`expand`: bytes for one purpose from 32 bytes of entropy."""

    entropy: Hex
    purpose: str
    context: Hex
    bytes: Hex


class KeyPairs(_Strict):
    """A site's two key pairs."""

    entropy: Hex
    ctx: Hex
    mask_private: Hex
    mask_public: Hex
    encryption_private: Hex
    encryption_public: Hex


class Full(_Strict):
    """The hash fixed at step 2; `keys` are A and E of each member, ascending."""

    ctx: Hex
    spec: Hex
    spec_hash: Hex
    public_state: Hex
    state_hash: Hex
    members: SiteSetOf
    keys: list[tuple[Hex, Hex]]
    full: Hex


class PairMask(_Strict):
    """The mask key of two sites, from either side."""

    full: Hex
    sites: tuple[Place, Place]
    privates: tuple[Hex, Hex]
    publics: tuple[Hex, Hex]
    key: Hex


class SelfMask(_Strict):
    """A site's own mask key."""

    seed: Hex
    full: Hex
    site: Place
    key: Hex


class Sealed(_Strict):
    """Openings under encryption; a null ciphertext result never occurs when sealing."""

    private: Hex
    public: Hex
    full: Hex
    dealer: Place
    holder: Place
    openings: Hex
    ciphertext: Hex


class Point(_Strict):
    """Whether 32 bytes are accepted as a public key."""

    point: Hex
    usable: bool
    why: str


class Derivation(_Strict):
    """The file `derivation.json`."""

    file: Literal["derivation"]
    contexts: list[ContextFields]
    expansions: list[Expansion]
    key_pairs: list[KeyPairs]
    fulls: list[Full]
    pair_masks: list[PairMask]
    self_masks: list[SelfMask]
    sealed: list[Sealed]
    points: list[Point]


class Mask(_Strict):
    """A stream added to or subtracted from a whole vector, with its wire bytes and centring."""

    key: Hex
    bits: Bits
    sign: Literal[1, -1]
    before: list[Integer]
    after: list[Integer]
    wire: Hex
    centred: list[Integer]


class LongMask(_Strict):
    """Some coordinates of the mask on a long vector of zeros."""

    key: Hex
    bits: Bits
    size: int
    words: dict[str, Integer]


class Masks(_Strict):
    """The file `masks.json`."""

    file: Literal["masks"]
    masks: list[Mask]
    long: list[LongMask]


class Split(_Strict):
    """A sharing; any `threshold` of the shares give the secret."""

    secret: Hex
    threshold: int
    points: list[int]
    randomness: Hex
    shares: list[Hex]


class Combine(_Strict):
    """Shares and the secret they give; null where the value is no 32-byte string."""

    points: list[int]
    shares: list[Hex]
    secret: Hex | None


class Shares(_Strict):
    """The file `shares.json`."""

    file: Literal["shares"]
    prime: Integer
    split: list[Split]
    combine: list[Combine]


class SeedCommitment(_Strict):
    """To b."""

    seed: Hex
    full: Hex
    site: Place
    commitment: Hex


class ShareCommitment(_Strict):
    """To one share; kind 0 is of b, 1 of a; the opening is share and salt."""

    full: Hex
    kind: Literal[0, 1]
    dealer: Place
    holder: Place
    opening: Hex
    commitment: Hex


class Tree(_Strict):
    """A hash tree and the path of every leaf."""

    leaves: list[Hex]
    root: Hex
    paths: list[list[Hex]]


class Leaf(_Strict):
    """A leaf of a dealer's tree."""

    holder: Place
    commitments: Hex
    ciphertext: Hex
    leaf: Hex


class Commitments(_Strict):
    """The file `commitments.json`."""

    file: Literal["commitments"]
    seeds: list[SeedCommitment]
    shares: list[ShareCommitment]
    leaves: list[Leaf]
    trees: list[Tree]


class Encoding(_Strict):
    """A message, field by field, and its bytes."""

    kind: Annotated[int, Field(ge=1, le=9)]
    fields: dict[str, Any]
    bytes: Hex


class Malformed(_Strict):
    """Bytes that are no message of this kind, whatever they are about."""

    kind: Annotated[int, Field(ge=1, le=9)]
    name: str
    bytes: Hex
    code: Code


class Messages(_Strict):
    """The file `messages.json`."""

    file: Literal["messages"]
    encodings: list[Encoding]
    malformed: list[Malformed]


class ParameterRow(_Strict):
    """What a cohort tolerates, or the code under which the numbers are refused."""

    sites: int
    colluding: int
    survivors: int
    quorum: int | None = None
    dropouts: int | None = None
    code: Code | None = None


class Parameters(_Strict):
    """The file `parameters.json`."""

    file: Literal["parameters"]
    rows: list[ParameterRow]


class RoundNumbers(_Strict):
    """N, c and M, and the quorum that follows."""

    sites: int
    colluding: int
    survivors: int
    quorum: int


class Shape(_Strict):
    """The vector's size and ring."""

    size: int
    bits: Bits


class SiteInput(_Strict):
    """What a site brings: its Ed25519 key, its entropy for this attempt, its vector."""

    site: str
    signing_secret: Hex
    signing_public: Hex
    entropy: Hex
    vector: list[Integer]
    cheats: str | None = Field(default=None, description="how it departs from the protocol")


class SiteSecrets(_Strict):
    """What a site derives: a and e, and b where it got as far as step 3."""

    mask_private: Hex
    encryption_private: Hex
    seed: Hex | None = None


class Result(_Strict):
    """The opened sum: ring coordinates as wire bytes, and centred."""

    survivors: list[str]
    wire: Hex
    values: list[Integer]
    vector_hashes: dict[str, Hex]


class Ending(_Strict):
    """How an attempt ended without a sum: what the coordinator was closing, and the code."""

    step: Literal[1, 3, 5, 7, 9]
    code: Code


class Transcript(_Strict):
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
    annex: Hex
    sites: list[SiteInput]
    lost: dict[str, int] = Field(description="first step whose message never arrived, by site")
    full: Hex | None = None
    secrets: dict[str, SiteSecrets]
    uploads: dict[str, dict[StepOfSite, Hex]]
    broadcasts: dict[Literal["2", "6", "8"], Hex]
    inboxes: dict[str, Hex]
    result: Result | None = None
    ending: Ending | None = None


class Transcripts(_Strict):
    """The file `transcripts-*.json`."""

    file: Literal["transcripts"]
    transcripts: list[Transcript]


class VerifiedRule(_Strict):
    """A site's rule on verified peers."""

    peers: list[str]
    least: int


class Rejection(_Strict):
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
    already: list[str] = []
    verified: VerifiedRule | None = None
    pinned_state_hash: Hex | None = None
    message: Hex
    code: Code
    ends: bool


class Rejected(_Strict):
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
