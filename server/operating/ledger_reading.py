"""The coordinator's ledger for those who only look: what can be read of it, and what cannot.

Signatures and links are not checked here: `recommons audit` does that, and whoever goes on in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommons.common.errors import LedgerError
from recommons.common.privacy.ledger_line import parse_line

__all__ = ["LedgerRead", "check_ledger", "read_ledger"]

_LEDGER = "ledger.jsonl"


@dataclass(frozen=True, kw_only=True)
class LedgerRead:
    """A ledger, as far as it can be read.

    Attributes:
        entries: Every line that has the form of one, in order.
        fault: Of the first line that has not; None where each has.
    """

    entries: tuple[Mapping[str, Any], ...]
    fault: LedgerError | None


def read_ledger(home: Path) -> LedgerRead:
    """The ledger in a home; a last line that is being written is left out.

    Args:
        home: The home's folder.
    """
    path = home / _LEDGER
    *lines, _unfinished = (path.read_bytes() if path.exists() else b"").split(b"\n")
    entries, fault = [], None
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(parse_line(line, number))
        except LedgerError as error:
            fault = fault or LedgerError(error.code, f"{_LEDGER}: {error.message}", line=number)
    return LedgerRead(entries=tuple(entries), fault=fault)


def check_ledger(home: Path) -> None:
    """Refuse where a line has been damaged: no run could go on after it.

    Args:
        home: The home's folder.

    Raises:
        LedgerError: ``ledger/not-canonical`` or ``ledger/schema``, with the first such line.
    """
    fault = read_ledger(home).fault
    if fault is not None:
        raise fault
