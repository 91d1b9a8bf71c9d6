"""A coordinator whose catalogue is broken, too long, refused or sent drop by drop."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from recommons.client.agent import catalogue, fetching
from recommons.client.agent.catalogue import CatalogueChore, download_catalogue, fetch_catalogue
from recommons.client.agent.connection import Connection, gateway_client
from recommons.client.agent.link import LinkError
from recommons.common.commandline import main
from recommons.common.data import catalogue_document
from recommons.common.data.catalogue_document import CATALOGUE_FILE
from recommons.common.errors import DataError
from recommons.server.gateway.members import write_members
from recommons.server.gateway.serve import server_tls
from recommons.server.records.home import CoordinatorHome
from tests.client.membership.conftest import Federation
from tests.client.membership.test_catalogue import document, offer

BROKEN = (
    b"",
    b"{}",
    b"[" * 100_000,
    b'{"version":1,"item_ids":["a"],"titles":[5],"features":[],"inferred":false}',
    b'{"version":1,"item_ids":["a"],"titles":["\\ud800"],"features":[],"inferred":false}',
    b'{"version":1,"item_ids":["a"],"titles":[""],"features":[{"name":"f","kind":"number",'
    b'"values":[' + b"9" * 400 + b']}],"inferred":false}',
)
"""Each was found by another fault than the last."""


def test_what_is_no_catalogue_is_not_kept(federation: Federation) -> None:
    federation.let_in("plum")
    for data in (*BROKEN, document("a")[:-1]):
        offer(federation, data)
        with pytest.raises(DataError) as refused:
            fetch_catalogue(federation.site("plum"))
        assert refused.value.code == "data/catalogue"
        assert not (federation.site("plum") / CATALOGUE_FILE).exists()


def test_a_coordinator_with_a_broken_catalogue_stops_no_command(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    home = CoordinatorHome.open(federation.folder)
    offer(federation, BROKEN[-1])
    federation.let_in("plum")  # which asserts that joining succeeds
    assert "catalogue.json is not there yet" in capsys.readouterr().out
    for data in BROKEN:
        offer(federation, data)
        assert main(["site", "catalogue", "fetch", str(federation.site("plum")), "--yes"]) == 2
        assert "data/catalogue" in capsys.readouterr().err
        assert home.offered_catalogue() is None
    offer(federation, document("a"))
    assert home.offered_catalogue() is not None


def test_a_copy_that_is_not_readable_may_be_replaced_and_stays_beside(
    federation: Federation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(federation, document("a"))
    federation.let_in("plum")
    plum = federation.site("plum")
    for data in BROKEN:
        (plum / CATALOGUE_FILE).write_bytes(data)
        assert main(["site", "catalogue", "show", str(plum)]) == 2
        assert "data/catalogue" in capsys.readouterr().err
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
        assert main(["site", "catalogue", "fetch", str(plum)]) == 1
        assert "is not readable" in capsys.readouterr().err
        assert (plum / CATALOGUE_FILE).read_bytes() == data
        assert main(["site", "catalogue", "fetch", str(plum), "--yes"]) == 0
        assert (plum / CATALOGUE_FILE).read_bytes() == document("a")
        assert (plum / "catalogue.json.before").read_bytes() == data


def test_what_is_longer_than_any_catalogue_is_not_read_to_its_end(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.let_in("plum")
    offer(federation, document("a") + b" " * (4 << 20))
    for module in (catalogue, catalogue_document):
        monkeypatch.setattr(module, "MOST_OFFERED_BYTES", 1 << 20)
    read = download_catalogue(federation.site("plum"))
    assert len(read or b"") == (1 << 20) + 1
    with pytest.raises(DataError, match="over 1 MiB"):
        fetch_catalogue(federation.site("plum"))
    assert CoordinatorHome.open(federation.folder).offered_catalogue() is None


def test_a_site_that_is_turned_away_is_told_so(federation: Federation) -> None:
    offer(federation, document("a"))
    federation.let_in("plum")
    plum = federation.site("plum")
    (plum / CATALOGUE_FILE).unlink()
    write_members(federation.folder / "sites.json", {})
    with pytest.raises(LinkError) as refused:
        fetch_catalogue(plum)
    assert refused.value.code == "agent/turned-away"
    assert "gateway/not-a-member" in refused.value.message


def test_a_release_that_is_refused_has_a_name_too(federation: Federation, tmp_path: Path) -> None:
    federation.let_in("plum")
    part = tmp_path / "part"
    with gateway_client(federation.site("plum")) as client:
        for call in (
            lambda: fetching._note(client, 1),
            lambda: fetching._append(client, "/v1/recommons/releases/001/model.json", part, 0, 9),
        ):
            with pytest.raises(LinkError, match="answered 404") as refused:
                call()
            assert refused.value.code == "agent/turned-away"


DROPS = {
    "head": [b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 1000],
    "body": [b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", *[b" "] * 1000],
    "denial": [b"HTTP/1.1 403 No\r\ncontent-length: 9999\r\n\r\n", *[b" "] * 1000],
    "chunk": [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", *[b"x"] * 1000],
}


def test_who_sends_a_catalogue_drop_by_drop_holds_nobody_up(federation: Federation) -> None:
    federation.let_in("plum")
    plum = federation.site("plum")
    for stuck, drops in DROPS.items():
        with dripping(federation.folder, drops) as port:
            Connection(address=f"127.0.0.1:{port}").write(plum)
            began = time.monotonic()
            with pytest.raises(LinkError, match=r"within 0\.5 s") as refused:
                fetch_catalogue(plum, seconds=0.5)
            assert time.monotonic() - began < 5, stuck
        assert refused.value.code == "agent/unreachable"


@contextmanager
def dripping(home: Path, drops: list[bytes]) -> Iterator[int]:
    """A gateway that sends one piece of its answer every 20 ms; gives its port."""
    tls = server_tls(home / "gateway.pem", home / "gateway.pem", home / "authority.pem")
    over = threading.Event()

    def answer() -> None:
        with (
            suppress(OSError),
            listener.accept()[0] as plain,
            tls.wrap_socket(plain, server_side=True) as line,
        ):
            line.recv(4096)
            for drop in drops:
                if over.wait(0.02):
                    return
                line.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def test_the_agent_does_not_ask_in_vain_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    now, takes = 0.0, 0.0
    fault: Exception = DataError("data/catalogue", "no catalogue")

    def failing(_folder: Path) -> None:
        nonlocal now
        asked.append(now)
        now += takes
        raise fault

    def work(until: float) -> list[float]:
        nonlocal now
        asked.clear()
        while now < until:
            with suppress(DataError, LinkError), httpx.Client() as client:
                chore(tmp_path, client)
            now += 30
        return list(asked)

    monkeypatch.setattr(catalogue, "fetch_catalogue", failing)
    chore = CatalogueChore(clock=lambda: now)
    assert work(7300) == [0, 3600, 7200]
    now, fault = 0.0, LinkError("agent/unreachable", "at once")
    chore = CatalogueChore(clock=lambda: now)
    assert work(95) == [0, 30, 60, 90]
    now, takes = 0.0, 600.0
    chore = CatalogueChore(clock=lambda: now)
    assert work(7000) == [0, 6600]
