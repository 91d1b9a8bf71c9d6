import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recommons.client.records.books import LEDGER, Line
from recommons.client.records.store import SiteStore
from recommons.common.errors import Refusal

RUN = b"r" * 16


def claim(store: SiteStore, context: bytes, attempt: int = 0) -> None:
    with store.transaction() as t:
        store.use_context(t, context=context, run_id=RUN, round=0, attempt=attempt, now=0)


def test_a_context_is_claimed_once_and_stays_claimed_after_a_restart(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    claim(store, b"one")
    with pytest.raises(Refusal, match="already used") as refusal:
        claim(store, b"one")
    assert refusal.value.code == "site/context-used"
    store.close()

    again = SiteStore(tmp_path / "site.db")
    with pytest.raises(Refusal):
        claim(again, b"one")
    claim(again, b"two", attempt=1)


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")

    def half() -> None:
        with store.transaction() as t:
            store.use_context(t, context=b"one", run_id=RUN, round=0, attempt=0, now=0)
            store.set_state(t, b"one", b"state")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    with store.transaction() as t:
        assert store.state(t, b"one") is None
    claim(store, b"one")


def test_what_was_committed_survives_sigkill(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from recommons.client.records.books import LEDGER
from recommons.client.records.store import SiteStore
store = SiteStore(Path(sys.argv[1]))
with store.transaction() as t:
    store.use_context(t, context=b"one", run_id=b"r" * 16, round=0, attempt=0, now=0)
    store.set_reply(t, context=b"one", step="masked", request=b"h", reply=b"bytes")
    LEDGER.append(t, b"line")
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "site.db"
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    store = SiteStore(path)
    with store.transaction() as t:
        assert store.reply(t, b"one", "masked") == (b"h", b"bytes")
        assert LEDGER.last(t) == Line(seq=0, ends=5, line=b"line")
        store.add_run(t, RUN, b"plan")
        record = store.run(t, RUN)
    assert record is not None
    assert record.opened == {0: 1}


def test_erased_secrets_are_not_in_the_file(tmp_path: Path) -> None:
    secret = os.urandom(64)
    store = SiteStore(tmp_path / "site.db")
    claim(store, b"one")
    with store.transaction() as t:
        store.set_state(t, b"one", secret)
    assert secret in (tmp_path / "site.db").read_bytes()
    with store.transaction() as t:
        store.set_state(t, b"one", None)
    leftovers = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret not in leftovers


def test_replies_are_erased_with_their_run_also_after_a_vector_was_let_go(tmp_path: Path) -> None:
    shares, later, store = os.urandom(5000), os.urandom(5000), SiteStore(tmp_path / "site.db")

    def reply(context: bytes, step: str, body: bytes) -> None:
        with store.transaction() as t:
            store.set_reply(t, context=context, step=step, request=b"h", reply=body)

    with store.transaction() as t:
        store.add_run(t, RUN, b"plan")
    claim(store, b"one")
    for step, body in (("masked", os.urandom(100_000)), ("reveal", shares)):
        reply(b"one", step, body)
    with store.transaction() as t:
        store.set_state(t, b"one", later)
        store.forget_replies(t, RUN, before_round=1)
        assert store.reply(t, b"one", "masked") is None
        assert store.reply(t, b"one", "reveal") is None
        store.set_state(t, b"one", None)
    leftovers = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert shares[:64] not in leftovers
    assert later[:64] not in leftovers


def test_the_database_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    SiteStore(tmp_path / "site.db").close()
    assert (tmp_path / "site.db").stat().st_mode & 0o077 == 0
