"""What ledgers and receipts cost: ``python -m recommons.simulations.benchmarks.ledgers``.

Prints CPU time of one core, not wall time, of one run; `docs/ledger.md` quotes it.
"""

import secrets
import tempfile
import time
from pathlib import Path

from recommons.client.records.books import LEDGER
from recommons.client.records.store import SiteStore
from recommons.common.heads import COORDINATOR, Place, Receipt, SignedHead
from recommons.common.privacy.events import GaussianSumRelease
from recommons.common.privacy.ledger import Chain, split_lines, verify_chain
from recommons.common.secagg.identity import SigningIdentity

__all__ = ["main"]

_LENGTHS = (10, 1_000, 10_000)
_REPEATS = 50
_SITES = 1_000
_HASH = "ab" * 32
_EVENT = GaussianSumRelease(
    round=0,
    attempt=0,
    block="factors",
    size=81_600,
    clip=1.0,
    sensitivity=10_297,
    noise_stddev=4096.5,
    cohort=8,
    min_survivors=7,
    colluding=1,
    ring_bits=32,
)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        _ledgers(Path(folder))
    _receipts()


def _say(what: str, seconds: float, each: int) -> None:
    print(f"{what}: {seconds / each * 1e3:.3g} ms")  # noqa: T201 - this is what it is for


def _ledgers(folder: Path) -> None:
    identity, store = SigningIdentity(secrets.token_bytes(32)), SiteStore(folder / "site.db")
    length = 0
    for target in _LENGTHS:
        _append(store, folder, identity, target - length)
        start = time.process_time()
        for _ in range(_REPEATS):
            _append(store, folder, identity, 1)
        spent = time.process_time() - start
        _say(f"a line to a ledger of {target}, in database and file", spent, _REPEATS)
        length = target + _REPEATS
    store.close()
    lines = split_lines((folder / "ledger.jsonl").read_bytes())
    start = time.process_time()
    verify_chain(lines, identity.public_key)
    _say(f"to verify one of {len(lines)} lines", time.process_time() - start, len(lines))


def _append(store: SiteStore, folder: Path, identity: SigningIdentity, count: int) -> None:
    body = {"run": "ab" * 16, "round": 0, "attempt": 0, "context": _HASH}
    body |= {"plan": _HASH, "events": [_EVENT.to_json()]}
    with store.transaction() as transaction:
        for _ in range(count):
            last = LEDGER.last(transaction)
            chain = Chain.resume(last.line) if last else Chain.start("site-1")
            _, line = chain.append(
                kind="reserved", body=body, time="2026-01-01T00:00:00Z", sign=identity.sign
            )
            LEDGER.append(transaction, line)
        LEDGER.publish(transaction, folder)


def _receipts() -> None:
    keys = {f"site-{k:04d}": SigningIdentity(secrets.token_bytes(32)) for k in range(_SITES)}
    coordinator = SigningIdentity(secrets.token_bytes(32))
    heads = [
        SignedHead.sign("bench", Chain(writer=site, length=500, link=bytes(32)), key)
        for site, key in keys.items()
    ]
    start = time.process_time()
    receipt = Receipt.issue(
        "bench",
        Place(run="ab" * 16, round=3, attempt=0),
        heads,
        Chain(writer=COORDINATOR, length=500, link=bytes(32)),
        coordinator,
    ).to_bytes()
    _say(f"to issue a receipt for {_SITES} sites", time.process_time() - start, 1)
    start = time.process_time()
    Receipt.from_bytes(receipt).check(
        federation="bench",
        keys={site: key.public_key for site, key in keys.items()},
        coordinator_key=coordinator.public_key,
    )
    _say(f"to check one of {len(receipt):,} bytes", time.process_time() - start, 1)


if __name__ == "__main__":
    main()
