"""How a signing key is replaced: by a statement that the old key and the new one both sign.

A site's, or the coordinator's, whose new key the federation's key appoints besides.

The old key's signature says that the site's operator wants it; the new key's, that somebody holds
it. So a new key is as good as the word of the old one: what was verified out of band of the old key
carries over, and nobody can be given a key that is not its own. A key that was stolen or lost is
not replaced in this way: the site is revoked and invited anew, and its peers verify it again.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from recommons.common.errors import InvalidInput
from recommons.common.secagg.identity import SIGNATURE_BYTES, SigningIdentity, is_signed

__all__ = ["Succession", "forerunners", "heir"]

_DOMAIN = "recommons/succession/1"
_HEX = re.compile(r"[0-9a-f]+")
_FIELDS = {"site", "old", "new", "by_old", "by_new"}


@dataclass(frozen=True, kw_only=True)
class Succession:
    """One statement; `holds` says whether it is one.

    Attributes:
        site: The site, or ``coordinator``.
        old: The key it had, 32 bytes.
        new: The key that takes its place, 32 bytes.
        by_old: The old key's signature.
        by_new: The new key's.
    """

    site: str
    old: bytes
    new: bytes
    by_old: bytes
    by_new: bytes

    @classmethod
    def sign(cls, federation: str, site: str, old: SigningIdentity, new: SigningIdentity) -> Self:
        """The statement of a site that holds both keys."""
        said = (federation.encode(), site.encode(), old.public_key, new.public_key)
        return cls(
            site=site,
            old=old.public_key,
            new=new.public_key,
            by_old=old.sign(_DOMAIN, *said),
            by_new=new.sign(_DOMAIN, *said),
        )

    def holds(self, federation: str) -> bool:
        """Whether both keys signed it, for this federation."""
        said = (federation.encode(), self.site.encode(), self.old, self.new)
        return is_signed(self.old, self.by_old, _DOMAIN, *said) and is_signed(
            self.new, self.by_new, _DOMAIN, *said
        )

    def fields(self) -> dict[str, str]:
        """As a JSON object."""
        return {
            "site": self.site,
            "old": self.old.hex(),
            "new": self.new.hex(),
            "by_old": self.by_old.hex(),
            "by_new": self.by_new.hex(),
        }

    @classmethod
    def from_fields(cls, value: Any) -> Self:  # noqa: ANN401 - parsed JSON
        """Read `fields`; the signatures are not yet checked.

        Raises:
            InvalidInput: ``roster/file``: anything else.
        """
        wrong = InvalidInput("roster/file", "not a statement that replaces a site's key")
        if not isinstance(value, dict) or set(value) != _FIELDS:
            raise wrong
        if not all(isinstance(text, str) for text in value.values()):
            raise wrong
        data = {}
        for name, length in (
            ("old", 32),
            ("new", 32),
            ("by_old", SIGNATURE_BYTES),
            ("by_new", SIGNATURE_BYTES),
        ):
            if len(value[name]) != 2 * length or not _HEX.fullmatch(value[name]):
                raise wrong
            data[name] = bytes.fromhex(value[name])
        return cls(site=value["site"], **data)


def heir(site: str, key: bytes, successions: Iterable[Succession], federation: str) -> bytes:
    """The key that a site's key has become, by the statements that hold; the key itself if none."""
    following = {s.old: s.new for s in successions if s.site == site and s.holds(federation)}
    seen = {key}
    while (found := following.get(key)) is not None and found not in seen:
        seen.add(found)
        key = found
    return key


def forerunners(
    site: str, key: bytes, successions: Iterable[Succession], federation: str
) -> tuple[bytes, ...]:
    """A site's key, then the keys it took the place of by statements that hold, latest first."""
    before = {s.new: s.old for s in successions if s.site == site and s.holds(federation)}
    found = [key]
    while (earlier := before.get(found[-1])) is not None and earlier not in found:
        found.append(earlier)
    return tuple(found)
