"""The site's own head, as others show it: whose it is, and what is remembered of it."""

from pathlib import Path

import pytest

from recommons.client.keys import NEXT_KEY, create_key
from recommons.client.records.halting import earlier_ledger, is_halted
from recommons.client.records.heads import check_own_head, own_head
from recommons.client.site import Site
from recommons.common.errors import Refusal
from recommons.common.heads import SignedHead
from recommons.common.privacy.ledger import Chain
from recommons.common.secagg.identity import SigningIdentity
from tests.client.seat import OWN, Seat


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    return Seat.take(tmp_path / "run", tiny_data, rounds=1)


def refused(site: Site, signer: SigningIdentity) -> str:
    """The code at a head far beyond the ledger's end."""
    federation = site.federation.roster.federation
    head = SignedHead.sign(federation, Chain(writer=OWN, length=100, link=bytes(32)), signer)
    with pytest.raises(Refusal) as found:
        check_own_head(site, head)
    return found.value.code


def test_a_head_under_the_key_that_was_drawn_to_be_the_next_is_the_sites_own(seat: Seat) -> None:
    """A backup from between drawing the key and pinning it, shown what the site did since."""
    following = create_key(seat.found.sites[OWN] / NEXT_KEY)
    with seat.open() as site:
        assert refused(site, following) == "site/old-backup"
        with site.store.transaction() as connection:
            assert is_halted(site.store, connection)


def test_an_earlier_ledger_is_remembered_until_the_sites_own_head_is_shown(seat: Seat) -> None:
    def noted(site: Site) -> int | None:
        with site.store.transaction() as connection:
            return earlier_ledger(site.store, connection)

    with seat.open() as site:
        assert noted(site) is None
        assert refused(site, SigningIdentity(b"s" * 32)) == "site/earlier-ledger"
        assert noted(site) == 100
        with site.store.transaction() as connection:
            own = own_head(site, connection)
        check_own_head(site, own)
        assert noted(site) is None
