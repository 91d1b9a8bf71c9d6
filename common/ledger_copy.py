"""A ledger and its receipts as an auditor gets them: verified by their own writer first."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from recommons.common.heads import COORDINATOR, Receipt
from recommons.common.privacy.ledger import Head, split_lines, verify_chain

__all__ = ["LedgerCopy"]


@dataclass(frozen=True, kw_only=True)
class LedgerCopy:
    """What is handed over.

    Attributes:
        writer: Whose it is.
        ledger: The ledger's text.
        receipts: The receipts' text, one a line.
        lines: Number of lines of the ledger.
        receipts_held: Number of receipts.
        head: Hash of the last line, hex: whoever is told it by other means can check the copy.
    """

    writer: str
    ledger: bytes
    receipts: bytes
    lines: int
    receipts_held: int
    head: str

    @classmethod
    def verified(cls, writer: str, public_key: bytes, ledger: bytes, receipts: bytes) -> Self:
        """Check the chain, and that it goes with what the receipts say of it.

        Args:
            writer: Whose ledger it is.
            public_key: The writer's.
            ledger: The ledger's text.
            receipts: The receipts' text.

        Raises:
            LedgerError: They are not as their writer wrote them.
        """
        found = [Receipt.from_bytes(line) for line in split_lines(receipts)]
        heads = [head for receipt in found if (head := _own(receipt, writer)) is not None]
        entries = verify_chain(split_lines(ledger), public_key, writer=writer, heads=heads)
        return cls(
            writer=writer,
            ledger=ledger,
            receipts=receipts,
            lines=len(entries),
            receipts_held=len(found),
            head=entries[-1].hash.hex() if entries else "",
        )

    @classmethod
    def of_folder(cls, writer: str, public_key: bytes, records: Path) -> Self:
        """`verified` for the records in a folder; what is not there is empty.

        Raises:
            LedgerError: They are not as their writer wrote them.
        """
        paths = (records / "ledger.jsonl", records / "receipts.jsonl")
        texts = [path.read_bytes() if path.exists() else b"" for path in paths]
        return cls.verified(writer, public_key, *texts)

    def files(self) -> Mapping[str, bytes]:
        """The files' names and contents; the names carry no meaning."""
        return {
            f"{self.writer}.ledger.jsonl": self.ledger,
            f"{self.writer}.receipts.jsonl": self.receipts,
        }

    def write(self, folder: Path) -> None:
        """Put the files into a folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files().items():
            (folder / name).write_bytes(data)

    def summary(self, *, as_json: bool) -> str:
        """What the command says."""
        told = {
            "writer": self.writer,
            "lines": self.lines,
            "receipts": self.receipts_held,
            "head": self.head,
        }
        if as_json:
            return json.dumps(told)
        return (
            f"{self.writer}: {self.lines} lines, {self.receipts_held} receipts\n"
            f"last line: {self.head or 'none'}"
        )


def _own(receipt: Receipt, writer: str) -> Head | None:
    if writer == COORDINATOR:
        return receipt.coordinator.head
    return next((h.head for h in receipt.heads if h.head.writer == writer), None)
