"""What reaches a member through the gateway, over real mutual TLS, and what it does with it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from recommons.client.agent.connection import Connection
from recommons.client.agent.credentials import read_node_key, signing_request, tls_context
from recommons.client.membership import news, roster_command
from recommons.client.membership.checks import check_clock, check_site
from recommons.client.membership.epochs import is_busy, waiting_epochs
from recommons.client.membership.news import fetch_news
from recommons.client.site import Site
from recommons.common.commandline import main
from recommons.common.epochs import approve
from recommons.common.errors import RecommonsError
from recommons.common.news import NEWS, News, Report
from recommons.common.peers import fingerprint, readable
from recommons.common.privacy.spending import Cost, Spending
from recommons.common.succession import Succession
from tests.client.membership.conftest import Federation


def line(folder: Path) -> httpx.Client:
    address = Connection.read(folder).address
    return httpx.Client(base_url=f"https://{address}", verify=tls_context(folder), timeout=10)


def hear(federation: Federation, *sites: str) -> None:
    for site in sites:
        with line(federation.site(site)) as client:
            fetch_news(federation.site(site), client)


def pinned(federation: Federation, site: str) -> int:
    with Site.open(federation.site(site)) as opened:
        return opened.federation.roster.epoch


def by_majority(federation: Federation, site: str) -> None:
    path = federation.site(site) / "policy.toml"
    path.write_text(path.read_text().replace('"by-hand"', '"by-majority"'))


def test_a_new_epoch_reaches_every_site_and_each_accepts_it_by_its_own_policy(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    for site in ("a", "b", "c"):
        federation.let_in(site)
    hear(federation, "a", "b", "c")
    assert [pinned(federation, s) for s in "abc"] == [1, 2, 3]
    for site in "ab":
        folder = str(federation.site(site))
        assert main(["site", "roster", "accept", "--site", folder, "--yes"]) == 0
    assert [pinned(federation, s) for s in "abc"] == [3, 3, 3]
    by_majority(federation, "c")
    federation.let_in("d")
    hear(federation, "a", "b", "c")
    assert [pinned(federation, s) for s in "abc"] == [3, 3, 3]  # nobody's word yet
    assert main(["site", "roster", "accept", "--site", str(federation.site("a")), "--yes"]) == 0
    hear(federation, "a", "c")
    assert pinned(federation, "c") == 3  # one of three is no majority
    assert main(["site", "roster", "approve", "--site", str(federation.site("b"))]) == 0
    hear(federation, "b", "c")
    assert [pinned(federation, s) for s in "abc"] == [4, 3, 4]
    capsys.readouterr()
    assert main(["federation", "status", "--home", str(federation.folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    standing = {m["site"]: (m["pinned"], m["approves"]) for m in told["members"]}
    assert standing["a"][1]
    assert standing["b"] == (3, True)
    assert not standing["d"][1]


def test_an_epoch_that_waits_is_shown_with_what_it_changes(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    federation.let_in("a")
    federation.let_in("b")
    hear(federation, "a")
    capsys.readouterr()
    assert main(["site", "roster", "list", str(federation.site("a"))]) == 0
    shown = capsys.readouterr().out
    with Site.open(federation.site("b")) as site:
        key = site.identity.public_key
    assert f"b: joins, fingerprint {readable(fingerprint(key))}" in shown
    assert [epoch.roster.epoch for epoch in waiting_epochs(federation.site("a"))] == [2]


def test_an_epoch_that_appoints_another_coordinator_says_so(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    federation.let_in("a")
    federation.office.appoint(lambda: federation.key)
    hear(federation, "a")
    capsys.readouterr()
    assert main(["site", "roster", "list", str(federation.site("a"))]) == 0
    key = readable(fingerprint(federation.office.coordinator_key))
    shown = capsys.readouterr().out
    said = "coordinator: signs plans with another key, signed by its earlier key, fingerprint"
    assert f"{said} {key}" in shown


def test_no_epoch_is_pinned_by_itself_while_a_run_is_open(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for site in ("a", "b"):
        federation.let_in(site)
    by_majority(federation, "a")
    hear(federation, "a")
    with Site.open(federation.site("a")) as opened:
        assert opened.federation.roster.epoch == 1
        waiting = waiting_epochs(opened.folder)[-1]
        own = approve(waiting, "a", opened.identity)
    with federation.office.book.act() as act:
        federation.office.book.add_approval(act, 2, "a", own.approvals["a"])
    with monkeypatch.context() as patch:
        patch.setattr(news, "is_busy", lambda _site: True)
        hear(federation, "a")
        assert pinned(federation, "a") == 1
    hear(federation, "a")
    assert pinned(federation, "a") == 2


def test_an_operators_word_waits_for_the_end_of_the_run_that_is_open(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for site in ("a", "b"):
        federation.let_in(site)
    hear(federation, "a")
    words = ["site", "roster", "accept", "--site", str(federation.site("a")), "--yes"]
    with monkeypatch.context() as patch:
        patch.setattr(roster_command, "is_busy", lambda _site: True)
        patch.setattr(news, "is_busy", lambda _site: True)
        assert main(words) == 0
        hear(federation, "a")
        assert pinned(federation, "a") == 1
        with federation.office.book.act() as act:
            present = federation.office.book.epoch(act)
        assert present is not None
        assert list(present.approvals) == ["a"]
    hear(federation, "a")
    assert pinned(federation, "a") == 2
    federation.let_in("c")
    hear(federation, "a")
    assert pinned(federation, "a") == 2  # a word is for one epoch
    with monkeypatch.context() as patch:
        patch.setattr(roster_command, "is_busy", lambda _site: True)
        assert main([*words, "--now"]) == 0
    assert pinned(federation, "a") == 3


def test_a_run_under_way_is_one_that_is_open_and_heard_of_within_a_day(
    federation: Federation,
) -> None:
    federation.let_in("a")
    spending = Spending.of([Cost(mu_squared=1.0, rho=1.0)])
    with Site.open(federation.site("a")) as site:
        assert not is_busy(site)
        with site.store.transaction() as act:
            now = site.now(act)
            site.store.budgets.add_charge(act, run_id=b"r" * 16, spending=spending, now=now)
        assert is_busy(site)
    with Site.open(federation.site("a"), clock=lambda: time.time() + 2 * 86_400) as later:
        assert not is_busy(later)


def test_an_approval_that_is_not_the_sites_own_is_not_kept(federation: Federation) -> None:
    for site in ("a", "b"):
        federation.let_in(site)
    hear(federation, "a")
    epoch = waiting_epochs(federation.site("a"))[-1]
    with Site.open(federation.site("b")) as other:
        stolen = approve(epoch, "b", other.identity).approvals["b"]
    report = Report(epoch=1, approvals={2: stolen, 99: stolen})
    with line(federation.site("a")) as client:
        assert client.post(NEWS, content=report.to_bytes()).status_code == 200
    with federation.office.book.act() as act:
        present = federation.office.book.epoch(act)
    assert present is not None
    assert present.approvals == {}


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 40_000, b"[]", b'{"version":1}'])
def test_what_is_no_report_is_refused(federation: Federation, body: bytes) -> None:
    federation.let_in("a")
    with line(federation.site("a")) as client:
        assert client.post(NEWS, content=body).status_code in (400, 413)


def test_a_revoked_site_is_refused_from_its_next_call_on_an_open_connection(
    federation: Federation,
) -> None:
    federation.let_in("a")
    federation.let_in("b")
    with line(federation.site("a")) as client, line(federation.site("b")) as other:
        fetch_news(federation.site("a"), client)
        federation.office.turn_away("a")
        with pytest.raises(RecommonsError) as refused:
            fetch_news(federation.site("a"), client)
        assert refused.value.code == "agent/turned-away"
        fetch_news(federation.site("b"), other)


def test_a_certificate_is_renewed_before_it_ends_and_for_the_same_key(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.let_in("a")
    folder, home = federation.site("a"), federation.office.home
    before = x509.load_pem_x509_certificate((folder / "node.pem").read_bytes())
    hear(federation, "a")
    assert (folder / "node.pem").read_bytes().strip() == (
        home.folder / "sites" / "a.pem"
    ).read_bytes().strip()
    request = signing_request(read_node_key(folder), "a")
    soon = datetime.now(UTC) - timedelta(days=300)
    old = home.authority.issue_site("fruit", "a", request, now=soon)
    with federation.office.book.act() as act:
        key = federation.office.book.admissions(act)["a"].node_key
        federation.office.book.admit(act, "a", old, key)
    (folder / "node.pem").write_bytes(old)
    hear(federation, "a")
    after = x509.load_pem_x509_certificate((folder / "node.pem").read_bytes())
    assert after.public_key() == before.public_key()
    assert after.not_valid_after_utc - datetime.now(UTC) > timedelta(days=364)
    hear(federation, "a")


def test_a_certificate_for_another_key_is_not_given(federation: Federation) -> None:
    federation.let_in("a")
    federation.let_in("b")
    foreign = signing_request(read_node_key(federation.site("b")), "a").decode()
    report = Report(epoch=1, request=foreign)
    with line(federation.site("a")) as client:
        answer = client.post(NEWS, content=report.to_bytes())
    assert News.from_bytes(answer.content).certificate is None


def test_a_statement_for_a_new_key_waits_for_the_operator_and_only_the_sites_own_is_kept(
    federation: Federation,
) -> None:
    federation.let_in("a")
    federation.let_in("b")
    with Site.open(federation.site("b")) as other, Site.open(federation.site("a")) as site:
        foreign = Succession.sign("fruit", "b", other.identity, site.identity)
    with line(federation.site("a")) as client:
        client.post(NEWS, content=Report(epoch=1, succession=foreign).to_bytes())
    assert federation.office.requests() == []
    assert main(["site", "rotate", str(federation.site("a")), "--yes"]) == 0
    hear(federation, "a")
    (request,) = federation.office.requests()
    assert (request.site, request.kind.split(",")[0]) == ("a", "new signing key")


def test_a_sites_surroundings_are_checked_with_a_remedy_for_each_fault(
    federation: Federation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.let_in("a")
    folder = federation.site("a")
    found = {finding.what: finding for finding in check_site(folder, time.time)}
    assert {what for what, finding in found.items() if finding.ok} == {
        *("dns", "proxy", "tls", "credential", "member", "clock", "disk")
    }
    late: Callable[[], float] = lambda: time.time() + 3600  # noqa: E731 - a clock
    found = {finding.what: finding for finding in check_site(folder, late)}
    assert found["clock"].ok is False
    assert "NTP" in found["clock"].remedy
    federation.office.turn_away("a")
    capsys.readouterr()
    assert main(["site", "check", str(folder), "--json"]) == 1
    told = {row["what"]: row for row in json.loads(capsys.readouterr().out)["findings"]}
    assert told["member"]["ok"] is False
    assert told["member"]["remedy"]
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    found = {finding.what: finding for finding in check_site(folder, time.time)}
    assert (found["proxy"].ok, found["tls"].ok) == (False, False)
    assert all(finding.remedy for finding in found.values() if finding.ok is False)


@pytest.mark.parametrize(
    ("ahead", "ok"), [(0, True), (3, True), (6, False), (-200, True), (-300, False)]
)
def test_a_clock_may_be_off_as_far_as_flower_allows(ahead: int, ok: bool) -> None:
    assert check_clock(1000, 1000 + ahead).ok is ok


def test_peers_are_marked_as_verified_by_the_fingerprint_that_was_read(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    federation.let_in("a")
    federation.let_in("b")
    folder = federation.site("b")
    with Site.open(federation.site("a")) as site:
        print_ = readable(fingerprint(site.identity.public_key))
    before = (folder / "policy.toml").read_text()
    words = ["--site", str(folder)]
    assert main(["site", "peers", "verify", "a", "0" * 40, *words]) == 1
    assert (folder / "policy.toml").read_text() == before
    assert main(["site", "peers", "verify", "a", print_.upper().replace(" ", ":"), *words]) == 0
    after = (folder / "policy.toml").read_text()
    assert [row for row in after.splitlines() if row not in before.splitlines()] == [
        f'"a" = "{print_}"'
    ]
    capsys.readouterr()
    assert main(["site", "peers", "list", str(folder), "--json"]) == 0
    rows = {row["site"]: row for row in json.loads(capsys.readouterr().out)["sites"]}
    assert (rows["a"]["verified"], rows["b"]["own"]) == (True, True)
    assert main(["site", "peers", "unverify", "a", *words]) == 0
    assert (folder / "policy.toml").read_text() == before
    assert main(["site", "peers", "verify", "b", print_, *words]) == 2  # itself
