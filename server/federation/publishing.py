"""Files that follow from the book, for the processes that do not read it.

| file | read by |
|---|---|
| `federation.json` | whoever runs plans |
| `sites/SITE.pem`, `sites.json` | the gateway, at every call |
| `coordinator.key` | the coordinator's app; a new key takes its place when its epoch is durable |
| `ledger.key` | the same, once that has happened: the key under which the ledger began |

Publishing is repeated until it has succeeded: after each act, when the desk starts, and by the desk
every two seconds. Whenever a process ends in between, nothing needs to be put right by hand.
"""

from collections.abc import Mapping
from pathlib import Path

from recommons.common.durably import write_durably
from recommons.common.federation import Federation
from recommons.common.locking import locked
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.federation.book import Admission, Book
from recommons.server.federation.founding import COORDINATOR_KEY
from recommons.server.federation.sealed_key import read_public_key
from recommons.server.records.folder import LEDGER_KEY
from recommons.server.records.home import CoordinatorHome

__all__ = ["FEDERATION", "NEXT_KEY", "publish"]

FEDERATION = "federation.json"
_LOCK = ".publishing"
NEXT_KEY = "coordinator.next.key"


def publish(home: CoordinatorHome, book: Book) -> None:
    """Bring the files up to the book."""
    # One at a time: an earlier state of the book must not be written over a later one.
    with locked(home.folder / _LOCK):
        with book.act() as act:
            epoch, admissions = book.epoch(act), book.admissions(act)
        _let_in(home, admissions)
        if epoch is None:
            return
        _settle_key(home.folder, epoch.coordinator_key)
        federation = Federation(
            signed_roster=epoch.signed_roster,
            federation_key=read_public_key(home.folder),
            coordinator_key=epoch.coordinator_key,
        )
        document, path = federation.to_bytes(), home.folder / FEDERATION
        if not path.exists() or path.read_bytes() != document:
            write_durably(path, document)


def _let_in(home: CoordinatorHome, admissions: Mapping[str, Admission]) -> None:
    """Sites that the book does not know are left as they are."""
    listed = home.listed()
    for site, admission in admissions.items():
        path = home.folder / "sites" / f"{site}.pem"
        if admission.turned_away:
            if path.exists() or site in listed:
                home.dismiss(site)
        elif (
            listed.get(site) != admission.node_key
            or not path.exists()
            or path.read_bytes() != admission.pem
        ):
            home.install(site, admission.pem)


def _settle_key(folder: Path, appointed: bytes) -> None:
    """Put the coordinator's next key in its place, if it is the one that was appointed."""
    fresh = folder / NEXT_KEY
    if not fresh.exists():
        return
    secret = bytes.fromhex(fresh.read_text("ascii").strip())
    if SigningIdentity(secret).public_key != appointed:
        return
    first = folder / LEDGER_KEY
    if not first.exists() and (folder / "ledger.jsonl").exists():
        # The ledger goes on under the key it began with: a chain has one writer and one key.
        write_durably(first, (folder / COORDINATOR_KEY).read_bytes())
    fresh.replace(folder / COORDINATOR_KEY)
