"""Ending attempts and runs at a site: secrets erased, and the ledger says why."""

from typing import Any

from sqlalchemy import Connection

from recommons.client.site import Site
from recommons.common.errors import ProtocolAbort

__all__ = ["attempt_body", "close_attempts", "end_run", "give_up"]


def attempt_body(run_id: bytes, context: bytes, number: int, attempt: int) -> dict[str, Any]:
    """The fields by which the ledger names an attempt."""
    return {
        "run": run_id.hex(),
        "round": number,
        "attempt": attempt,
        "context": context.hex(),
    }


def give_up(
    site: Site, transaction: Connection, place: dict[str, Any], abort: ProtocolAbort
) -> None:
    """Erase an attempt's secrets and say why; nothing to do where it is over already."""
    context = bytes.fromhex(place["context"])
    if site.store.state(transaction, context) is not None:
        site.store.set_state(transaction, context, None)
        site.record(transaction, "aborted", place | {"code": abort.code, "reason": abort.message})


def close_attempts(
    site: Site, transaction: Connection, abort: ProtocolAbort, run_id: bytes | None = None
) -> None:
    """Give up every open attempt, of one run or of all."""
    for run, context, number, attempt in site.store.open_attempts(transaction, run_id):
        give_up(site, transaction, attempt_body(run, context, number, attempt), abort)


def end_run(
    site: Site, transaction: Connection, run_id: bytes, abort: ProtocolAbort, **outcome: str
) -> None:
    """No more attempts, no secrets, no replies. What the run reserved stays charged.

    Args:
        site: The site.
        transaction: Of the step that ends it.
        run_id: The run, not ended yet.
        abort: Why attempts that are still open end.
        outcome: What the ledger says of the run.
    """
    close_attempts(site, transaction, abort, run_id)
    site.store.end_run(transaction, run_id)
    site.store.budgets.close(transaction, run_id)
    site.record(transaction, "run-ended", {"run": run_id.hex(), **outcome})
