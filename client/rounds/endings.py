"""How a run ends at a site: no more attempts, then the run's last heads are anchored."""

from recommons.client.records.closing import end_run
from recommons.client.records.heads import keep_receipt, own_head, read_receipt
from recommons.client.site import Site
from recommons.common.errors import ProtocolAbort, Refusal
from recommons.common.heads import Place
from recommons.common.plan import Plan
from recommons.common.wire import Outcome

__all__ = ["anchor", "finish"]


def finish(site: Site, run_id: bytes, body: bytes) -> bytes:
    """End the run: no more attempts, no secrets, no replies.

    Args:
        site: The site.
        run_id: A run it has joined.
        body: How the run ended, as the coordinator says.

    Returns:
        The site's signed head, `run-ended` included.

    Raises:
        InvalidInput: The body is not readable.
    """
    outcome = Outcome.from_bytes(body)
    with site.store.transaction() as transaction:
        run = site.store.run(transaction, run_id)
        if run is not None and not run.ended:
            site.store.budgets.touch(transaction, run_id, site.now(transaction))
            ended = ProtocolAbort("site/run-ended", "the run ended")
            end_run(site, transaction, run_id, ended, **outcome.fields)
        return own_head(site, transaction).to_bytes()


def anchor(site: Site, run_id: bytes, body: bytes) -> bytes:
    """Keep the receipt with the last heads of the run.

    Args:
        site: The site.
        run_id: A run that ended here.
        body: The receipt.

    Returns:
        Nothing; the receipt is durable.

    Raises:
        LedgerError: The receipt is not as it must be.
        Refusal: The run is not over here, or the site was restored from an old backup.
    """
    with site.store.transaction() as transaction:
        run = site.store.run(transaction, run_id)
    if run is None or not run.ended:
        raise Refusal("site/step-order", "the run has not ended at this site")
    # The run is over, so that another roster may have been pinned since.
    roster = Plan.from_bytes(run.plan).roster_hash
    receipt = read_receipt(site, body, Place(run=run_id.hex()), roster)
    with site.store.transaction() as transaction:
        keep_receipt(site, transaction, receipt)
    return b""
