"""The console's password: drawn here, shown once, kept as a scrypt hash.

A console has one operator and one password. It is drawn rather than chosen, with more than a
hundred bits, so that nothing rests on anybody's taste.
"""

import base64
import hmac
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput

__all__ = ["PASSWORD_ENTROPY_BYTES", "PasswordRecord", "password_from"]

PASSWORD_ENTROPY_BYTES = 15
_SALT_BYTES = 16
_HASH_BYTES = 32
_GROUP = 6


def password_from(entropy: bytes) -> str:
    """A password of 24 letters and digits in four groups.

    Args:
        entropy: `PASSWORD_ENTROPY_BYTES` bytes from the operating system's generator; not kept.

    Raises:
        InvalidInput: Another number of bytes.
    """
    if len(entropy) != PASSWORD_ENTROPY_BYTES:
        raise InvalidInput(
            "input/argument",
            f"entropy has {len(entropy)} bytes; required: {PASSWORD_ENTROPY_BYTES}",
        )
    plain = base64.b32encode(entropy).decode().lower()
    return "-".join(plain[start : start + _GROUP] for start in range(0, len(plain), _GROUP))


class _Document(BaseModel):
    """`console.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    kdf: Literal["scrypt"] = "scrypt"
    n: Literal[32768] = 32768
    r: Literal[8] = 8
    p: Literal[3] = 3
    salt: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * _SALT_BYTES}}}$")]
    hash: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * _HASH_BYTES}}}$")]


@dataclass(frozen=True, kw_only=True)
class PasswordRecord:
    """What is kept of a password; scrypt with n = 2¹⁵, r = 8, p = 3 (32 MiB, about 0.2 s).

    Attributes:
        salt: 16 bytes.
        hash: 32 bytes.
    """

    salt: bytes
    hash: bytes

    @classmethod
    def make(cls, password: str, salt: bytes) -> Self:
        """The record of a password; the password is not kept.

        Args:
            password: As `password_from` gives it.
            salt: 16 fresh bytes.
        """
        return cls(salt=salt, hash=_derive(password, salt))

    def fits(self, password: str) -> bool:
        """Whether this is the password; takes the same time for any."""
        return hmac.compare_digest(_derive(password, self.salt), self.hash)

    def to_bytes(self) -> bytes:
        """The file's content."""
        document = _Document(salt=self.salt.hex(), hash=self.hash.hex())
        return document.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            InvalidInput: ``console/password``.
        """
        try:
            document = _Document.model_validate_json(data)
        except ValidationError as error:
            raise InvalidInput(
                "console/password", describe_validation("console.json", error)
            ) from error
        return cls(salt=bytes.fromhex(document.salt), hash=bytes.fromhex(document.hash))


def _derive(password: str, salt: bytes) -> bytes:
    # The dash that separates the groups is there for the eye.
    typed = "".join(password.lower().replace("-", " ").split())
    kdf = Scrypt(salt=salt, length=_HASH_BYTES, n=2**15, r=8, p=3)
    return kdf.derive(typed.encode("utf-8", "surrogatepass"))
