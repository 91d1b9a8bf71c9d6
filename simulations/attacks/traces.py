"""Looks for a round's secrets in everything a site has on its disk."""

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from recommons.client.site import Site
from recommons.common.secagg import phases, site_state
from recommons.common.secagg.derivation import OPENING_BYTES

__all__ = ["Traces"]


@dataclass
class Traces:
    """The secrets a site has ever stored, remembered to be looked for later.

    Attributes:
        folder: The site's.
        seen: Every secret that stood in its database at some time.
    """

    folder: Path
    seen: set[bytes] = field(default_factory=set, repr=False)

    def look(self, site: Site) -> None:
        """Remember what is secret in the attempts that are open now."""
        with site.store.transaction() as transaction:
            rows = transaction.execute(text("SELECT state FROM contexts WHERE state IS NOT NULL"))
            states = [bytes(row.state) for row in rows]
        for state in states:
            self.seen |= _secrets(site_state.read(state)[2])

    def left(self, among: Set[bytes] | None = None) -> int:
        """How many of them (or of those `among` them) are still somewhere in the site's files."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        data = [path.read_bytes() for path in files]
        wanted = self.seen if among is None else among
        return sum(any(secret in content for content in data) for secret in wanted)


def _secrets(phase: phases.Phase) -> set[bytes]:
    match phase:
        case phases.Advertised() | phases.Keyed():
            return {phase.entropy}
        case phases.Dealt():
            own = phase.secrets
            return {own.mask_private, own.encryption_private, own.seed, *_openings(phase.held)}
        case phases.Collected():
            return {phase.mask_private, phase.seed, *_openings(phase.held)}
        case phases.Masked():
            return _openings(phase.held)
        case phases.Signed():
            return _openings(phase.masked.held)
        case phases.Revealed() | phases.Aborted():
            return set()


def _openings(held: bytes) -> set[bytes]:
    return {held[start : start + OPENING_BYTES] for start in range(0, len(held), OPENING_BYTES)}
