"""Everything the site's console shows, read from the site's folder and changed nowhere.

The database is opened to read alone, for a moment at a time. The ledger's text file is followed and
every line verified under the key with which the ledger began: it goes on under that one when the
site has another on the roster.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recommons.client.agent.connection import Connection as AgentConnection
from recommons.client.budgets.figures import BudgetFigures, budget_figures
from recommons.client.console.history import History, history_of
from recommons.client.keys import KEY, ledger_identity, read_key
from recommons.client.operating.status import SiteStatus, named_faults, read_status
from recommons.client.records.database import DATABASE
from recommons.client.records.outbox import Outbound, sent
from recommons.client.records.store import SiteStore
from recommons.client.releases import Installed, installed
from recommons.client.site import SiteConfig
from recommons.common.console.following import FollowedLedger
from recommons.common.console.refusals import Refused
from recommons.common.console.rendering import moment_rfc3339
from recommons.common.errors import InvalidInput
from recommons.common.policy import BudgetPolicy
from recommons.common.policy_file import policy_from_toml

__all__ = ["RunCharge", "SiteReader", "SiteSeen"]

_MOST_MESSAGES = 200


@dataclass(frozen=True, kw_only=True)
class RunCharge:
    """How many of the site's users a run charged, for the operator alone.

    Attributes:
        took_part: Users charged when it was joined.
        left_out: Users whose budget did not hold it.
        open: Something of it may still leave.
    """

    took_part: int
    left_out: int
    open: bool


@dataclass(frozen=True, kw_only=True)
class SiteSeen:
    """All of it.

    Attributes:
        status: Standing, health of the data, what has left.
        coordinator: ``host:port``, None where the site is not enrolled.
        history: From the ledger.
        refused: What was refused, given up or stopped, the last first.
        fault: (code, message) where the ledger does not verify.
        rules: The policy's caps.
        figures: What was spent, by users who have it in common.
        charges: By run id, hex.
        messages: The latest answers that left, the last first.
        releases: The models it knows, the last first.
        declared_users: Rounded, as the site declares them to the federation.
    """

    status: SiteStatus
    coordinator: str | None
    history: History
    refused: tuple[Refused, ...]
    fault: tuple[str, str] | None
    rules: BudgetPolicy
    figures: tuple[BudgetFigures, ...]
    charges: dict[str, RunCharge]
    messages: tuple[Outbound, ...]
    releases: tuple[Installed, ...]
    declared_users: int

    @property
    def most_reserved(self) -> float:
        """ε reserved about the users who have spent most."""
        return max((entry.reserved for entry in self.figures), default=0.0)

    @property
    def most_released(self) -> float:
        """ε released about the users who have spent most."""
        return max((entry.released for entry in self.figures), default=0.0)


@dataclass(eq=False)
class SiteReader:
    """Reads a site's folder again and again.

    Attributes:
        folder: The folder.
        clock: Seconds since 1970.
    """

    folder: Path
    clock: Callable[[], float]
    _ledger: FollowedLedger | None = None
    _key: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def site_id(self) -> str:
        """The site's id.

        Raises:
            InvalidInput: ``site/folder``: it is not a site's folder.
        """
        return read_status(self.folder).site

    def read(self) -> SiteSeen:
        """The state of now.

        Raises:
            InvalidInput: A file of the folder is not as it must be.
            RecommonsError: ``site/disk`` or ``site/locked``.
        """
        with named_faults(self.folder):
            return self._seen()

    def _seen(self) -> SiteSeen:
        status, rules = read_status(self.folder), self._rules()
        with self._lock:
            ledger = self._followed(status.site)
            history = History() if ledger is None else history_of(ledger.entries())
            fault = None if ledger is None else ledger.fault
        figures, charges, messages = self._database(rules)
        refused = [*history.refused, *map(_refused, filter(lambda m: m.code, messages))]
        config = SiteConfig.read(self.folder)
        return SiteSeen(
            status=status,
            coordinator=self._coordinator(),
            history=history,
            refused=tuple(sorted(refused, key=lambda entry: entry.time, reverse=True)),
            fault=None if fault is None else (fault.code, fault.message),
            rules=rules,
            figures=figures,
            charges=charges,
            messages=messages,
            releases=installed(self.folder)[::-1],
            declared_users=config.declared_users,
        )

    def _rules(self) -> BudgetPolicy:
        try:
            return policy_from_toml((self.folder / "policy.toml").read_bytes()).budget
        except OSError as error:
            raise InvalidInput("site/folder", "policy.toml cannot be read") from error

    def _followed(self, site: str) -> FollowedLedger | None:
        try:
            present = read_key(self.folder / KEY)
        except FileNotFoundError:
            return None  # it has not begun to join
        key = ledger_identity(self.folder, present).public_key
        if key != self._key:
            self._ledger = FollowedLedger(self.folder / "ledger.jsonl", key, site)
            self._key = key
        return self._ledger

    def _database(
        self, rules: BudgetPolicy
    ) -> tuple[tuple[BudgetFigures, ...], dict[str, RunCharge], tuple[Outbound, ...]]:
        path = self.folder / DATABASE
        if not path.exists():
            return (), {}, ()
        store = SiteStore(path, read_only=True)
        budgets = store.budgets
        try:
            with store.transaction() as connection:
                now = budgets.now_unused(connection, self.clock())
                heads = budgets.head_counts(connection)
                charges = {
                    charge.run.hex(): RunCharge(
                        took_part=heads[charge.run][0],
                        left_out=heads[charge.run][1],
                        open=charge.open,
                    )
                    for charge in budgets.charges(connection)
                }
                figures = tuple(budget_figures(budgets, connection, rules, now))
                return figures, charges, tuple(sent(connection, most=_MOST_MESSAGES))
        finally:
            store.close()

    def _coordinator(self) -> str | None:
        try:
            return AgentConnection.read(self.folder).address
        except InvalidInput:
            return None


def _refused(message: Outbound) -> Refused:
    return Refused(
        time=moment_rfc3339(message.time),
        place=f"message of kind {message.kind}",
        code=message.code or "",
        said="The agent did not pass the message on.",
    )
