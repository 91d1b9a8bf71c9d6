"""The nine messages of a round and their grammar.

Every message is parsed once, strictly: each field is bounded, nothing may be missing or left over,
and there is one encoding only, so encoding what was parsed gives the same bytes. Integers are
big-endian and unsigned; ``x*n`` is n fields x one after another; ``|S|`` is the size of a set.

    message     = version kind ctx body
    version     = u8                      ; 1
    kind        = u8                      ; 1 to 9, the step
    ctx         = 32 bytes                ; hash of the context
    site        = u16                     ; a place in the cohort, from 0
    set         = u16 bits                ; size n of the cohort, 1 to 4096; then ⌈n/8⌉ bytes, place
                                          ; i in bit i mod 8 of byte ⌊i/8⌋; bits from n on are zero
    key         = 32 bytes                ; X25519 public key
    digest      = 32 bytes
    signature   = 64 bytes                ; Ed25519, what it covers is in `statements`
    opening     = share salt              ; 33 bytes big-endian, below 2^256 + 297; 16 bytes
    ciphertext  = 114 bytes               ; ChaCha20-Poly1305 of two openings, of b and of a
    sized       = u64 bytes               ; the length, then so many bytes

    1 Advertise   = site key key signature                      ; A, E
    2 Keys        = set (key key signature)*|U1| sized sized    ; U1; spec of at most 2^20 bytes,
                                                                ; public state of at most 2^31
    3 Shares      = site set digest (digest digest)*|U1|        ; U1; commitments to b, and to each
                    ciphertext*(|U1|-1) signature               ; share of b and of a
    4 Inbox       = site set u8                                 ; recipient, U2, levels L ≤ 12;
                    (digest digest digest ciphertext            ; from every other dealer: its
                    digest*L signature)*(|U2|-1)                ; commitments, shares and path
    5 Masked      = site set u8 u64 signature vector            ; U2, bits k, coordinates n;
                                                                ; n·k/8 bytes, little-endian
    6 Survivors   = set set                                     ; U2, U3
    7 Signature   = site signature
    8 Certificate = digest set set set                          ; full, U2, U3, signers;
                    signature*|signers|
    9 Reveal      = site set set opening*|U2| signature         ; U2, U3 ⊆ U2
"""

from recommons.common.secagg.downloads import (
    Certificate,
    Inbox,
    InboxEntry,
    KeyEntry,
    Keys,
    Survivors,
)
from recommons.common.secagg.envelope import HEADER_BYTES, MessageKind, message_context
from recommons.common.secagg.uploads import Advertise, Masked, Reveal, Shares, Signature

__all__ = [
    "HEADER_BYTES",
    "Advertise",
    "Certificate",
    "Inbox",
    "InboxEntry",
    "KeyEntry",
    "Keys",
    "Masked",
    "MessageKind",
    "Reveal",
    "Shares",
    "Signature",
    "Survivors",
    "message_context",
]
