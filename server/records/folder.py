"""The coordinator's folder: its key, its ledger and what it has summed so far.

| file | holds |
|---|---|
| `coordinator.key` | the coordinator's signing key (hex, readable by its owner alone) (*) |
| `federation.json` | the roster and the keys that speak for the federation |
| `catalogue.json` | the public catalogue |
| `plan.json` | the plan of the run |
| `run.json` | our own run id: it outlives Flower's runs and makes contexts unique |
| `rounds/NN.safetensors` | the exact sum of round NN |
| `ledger.jsonl` | its record; an attempt is written here before its first message (*) |
| `receipts.jsonl` | the receipts it has issued, with the sites' heads and its own (*) |
| `records` | the folder of those marked (*), if it is another: they belong to the federation |

A coordinator has one ledger for all its runs: sites keep its last head, and refuse one that goes
back. The ledger is also the coordinator's memory: which attempts were made and which rounds are
done is read from it, so that a run that was killed goes on without ever using a context twice.
"""

import os
import secrets
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.hashing import digest
from recommons.common.plan import Plan
from recommons.common.secagg.identity import SigningIdentity

__all__ = ["LEDGER_KEY", "CoordinatorFolder", "first_identity"]

LEDGER_KEY = "ledger.key"
"""The key under which the ledger began, once another is in force."""

_RUN_BYTES = 16
_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class CoordinatorFolder:
    """An opened coordinator folder.

    Attributes:
        folder: The folder.
        identity: The coordinator's key.
        federation: Roster and keys.
        plan: The plan of the run.
        run_id: 16 bytes.
        records: Where the key, the ledger and the receipts are.
    """

    folder: Path
    identity: SigningIdentity
    federation: Federation
    plan: Plan
    run_id: bytes
    records: Path

    @classmethod
    def create(
        cls,
        folder: Path,
        identity: SigningIdentity,
        federation: Federation,
        plan: Plan,
        catalogue: bytes,
        *,
        records: Path | None = None,
    ) -> Self:
        """Make the folder of a new run, with a fresh run id.

        Args:
            folder: Of the run.
            identity: The coordinator's key; written only where there are no `records`.
            federation: Roster and keys.
            plan: The plan.
            catalogue: The catalogue's document.
            records: Where the federation's key, ledger and receipts are; by default in the
                folder, which then holds the federation's only run at a time.
        """
        (folder / "rounds").mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(folder / "federation.json", federation.to_bytes())
        write_durably(folder / "catalogue.json", catalogue)
        write_durably(folder / "plan.json", plan.to_bytes())
        if records is None:
            key = (identity.secret_bytes().hex() + "\n").encode()
            write_durably(folder / "coordinator.key", key)
        else:
            relative = os.path.relpath(records, folder)
            write_durably(folder / "records", (relative + "\n").encode())
        write_durably(folder / "run.json", secrets.token_bytes(_RUN_BYTES).hex().encode() + b"\n")
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the folder of a run.

        Raises:
            InvalidInput: A file is missing or not as it must be.
        """
        try:
            records = _records(folder)
            return cls(
                folder=folder,
                identity=SigningIdentity(_hex(records / "coordinator.key", _KEY_BYTES)),
                federation=Federation.from_bytes((folder / "federation.json").read_bytes()),
                plan=Plan.from_bytes((folder / "plan.json").read_bytes()),
                run_id=_hex(folder / "run.json", _RUN_BYTES),
                records=records,
            )
        except OSError as error:
            name = Path(error.filename or folder).name
            raise InvalidInput(
                "run/folder", f"{folder} is not a coordinator's folder: {name} cannot be read"
            ) from error

    @cached_property
    def ledger_identity(self) -> SigningIdentity:
        """The key that signs the ledger's lines: the coordinator's when the ledger began."""
        return first_identity(self.records) or self.identity

    @cached_property
    def catalogue(self) -> Catalogue:
        """The public catalogue that the plan pins.

        Raises:
            InvalidInput: Another catalogue than the plan's.
        """
        catalogue = catalogue_from_bytes((self.folder / "catalogue.json").read_bytes())
        if catalogue.hash.hex() != self.plan.catalogue.hash:
            raise InvalidInput("plan/catalogue", "the catalogue is not the one the plan pins")
        return catalogue

    def save_sum(self, number: int, total: npt.NDArray[np.int64], survivors: int) -> str:
        """Keep the exact sum of a round; returns its hash in hex."""
        arrays = {"sum": total, "survivors": np.array([survivors], np.int64)}
        write_durably(self._sum_path(number), save(arrays))
        return sum_hash(total)

    def load_sum(self, number: int, expected_hash: str) -> tuple[npt.NDArray[np.int64], int]:
        """The exact sum of a finished round and its number of survivors.

        Raises:
            InvalidInput: The file is not the one whose hash the ledger holds.
        """
        arrays = load_file(self._sum_path(number))
        total: npt.NDArray[np.int64] = arrays["sum"]
        if sum_hash(total) != expected_hash:
            raise InvalidInput(
                "run/folder", f"the stored sum of round {number} is not the one in the ledger"
            )
        return total, int(arrays["survivors"][0])

    def _sum_path(self, number: int) -> Path:
        return self.folder / "rounds" / f"{number:02d}.safetensors"


def first_identity(records: Path) -> SigningIdentity | None:
    """The key under which the ledger in a folder began; None where the present one is that.

    Raises:
        InvalidInput: ``run/folder``: the file is damaged.
    """
    try:
        return SigningIdentity(bytes.fromhex((records / LEDGER_KEY).read_text().strip()))
    except FileNotFoundError:
        return None
    except ValueError:
        raise InvalidInput("run/folder", f"{LEDGER_KEY} in {records} cannot be read") from None


def _records(folder: Path) -> Path:
    path = folder / "records"
    try:
        return folder / path.read_text().strip() if path.exists() else folder
    except ValueError:
        raise InvalidInput("run/folder", f"{path.name} in {folder} is not a path") from None


def _hex(path: Path, size: int) -> bytes:
    """So many bytes, as a file holds them in hexadecimal.

    Raises:
        InvalidInput: ``run/folder``: it holds something else.
        OSError: It cannot be read.
    """
    try:
        found = bytes.fromhex(path.read_text().strip())
    except ValueError:
        found = b""
    if len(found) != size:
        raise InvalidInput(
            "run/folder", f"{path.name} in {path.parent} is damaged; required: {size} bytes in hex"
        )
    return found


def sum_hash(total: npt.NDArray[np.int64]) -> str:
    """SHA-256 of a sum's coordinates as little-endian int64, in hex."""
    return digest("recommons/sum/1", total.astype("<i8").tobytes()).hex()


def now() -> str:
    """The time as ledgers write it, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
