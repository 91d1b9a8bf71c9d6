"""Replacing the site's signing key: a new one is drawn here, and the present one signs for it.

| step | done by | until then |
|---|---|---|
| a next key is drawn; a statement signed by both keys goes to the coordinator | this site | the present key is in force |
| an epoch with the new key is signed | the federation's operator | the same |
| the epoch is pinned | this site | the same |
| the next key takes the present one's place; the ledger goes on under the key it began with | this site | |

Between any two steps the site may be killed: which key is in force is read off the pinned roster.
"""  # noqa: E501 - a table row is one line

from recommons.client.keys import NEXT_KEY, create_key, read_key
from recommons.client.site import Site
from recommons.common.succession import Succession

__all__ = ["begin_rotation", "statement"]


def begin_rotation(site: Site) -> Succession:
    """Draw the next key, or take the one that was drawn, and make the statement."""
    if not (site.folder / NEXT_KEY).exists():
        create_key(site.folder / NEXT_KEY)
    return _signed(site)


def statement(site: Site) -> Succession | None:
    """The statement for the next key; None where there is none."""
    return _signed(site) if (site.folder / NEXT_KEY).exists() else None


def _signed(site: Site) -> Succession:
    federation = site.federation.roster.federation
    following = read_key(site.folder / NEXT_KEY)
    return Succession.sign(federation, site.id, site.identity, following)
