"""Signatures found in entries and receipts: collected first, checked together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from recommons.common.audit.findings import Findings
from recommons.common.audit.signatures import Check, Mapper, check_all
from recommons.common.hashing import framed
from recommons.common.secagg.statements import Statement

__all__ = ["Pending", "PendingAt", "Signed"]


@dataclass(kw_only=True, slots=True)
class Signed:
    """A signature that waits to be checked: it holds if any of its checks does.

    Attributes:
        checks: One for each key that may have made it.
        code: Of the finding if none holds.
        message: Likewise.
        ledger: Likewise.
        line: Likewise.
        key: The key that made it, once that is settled; None before, and where it is nobody's.
    """

    checks: tuple[Check, ...]
    code: str
    message: str
    ledger: str
    line: int
    key: bytes | None = None


@dataclass
class Pending:
    """Checks that wait, each with the finding it becomes if it fails."""

    _waiting: list[Signed] = field(default_factory=list)

    def at(self, ledger: str, line: int) -> "PendingAt":
        """Takes checks for one line."""
        return PendingAt(self._waiting, ledger, line)

    def settle(self, findings: Findings, mapper: Mapper) -> None:
        """Check them all; a finding for each that fails."""
        checks = [check for waiting in self._waiting for check in waiting.checks]
        answers = iter(check_all(checks, mapper))
        for waiting in self._waiting:
            found = [check.key for check in waiting.checks if next(answers)]
            if found:
                waiting.key = found[0]
            else:
                findings.add(
                    waiting.code, waiting.message, ledger=waiting.ledger, line=waiting.line
                )
        self._waiting.clear()


@dataclass(frozen=True)
class PendingAt:
    """Takes checks for one line of one file."""

    _waiting: list[Signed]
    _ledger: str
    _line: int

    def __call__(
        self,
        keys: Sequence[bytes],
        signature: bytes,
        statement: Statement,
        *,
        code: str,
        message: str,
    ) -> Signed:
        """Check later that `signature` is over a statement, by one of the keys.

        Args:
            keys: The signer's keys; with none, the check fails.
            signature: 64 bytes.
            statement: What it should be over.
            code: Of the finding if it is not.
            message: Likewise.

        Returns:
            What tells, once it is settled, which key it was.
        """
        said = framed(*statement)
        waiting = Signed(
            checks=tuple(Check(key, signature, said) for key in keys),
            code=code,
            message=message,
            ledger=self._ledger,
            line=self._line,
        )
        self._waiting.append(waiting)
        return waiting
