"""Joining over real TLS: from an invitation to a pinned roster, and what may go wrong."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from recommons.client.agent.credentials import read_node_key, tls_context
from recommons.client.site import Site
from recommons.common import durably
from recommons.common.commandline import main
from recommons.common.invitation import Invitation
from recommons.common.peers import fingerprint
from recommons.server.certificates.authority import Authority
from recommons.server.federation.serve import desk_server, desk_tls
from recommons.server.records.home import CoordinatorHome
from tests.client.membership.conftest import Federation


def code(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    return next(line.removeprefix("code: ") for line in lines if line.startswith("code: "))


def test_an_approved_site_has_pinned_the_roster_and_a_certificate_for_its_own_key(
    federation: Federation,
) -> None:
    federation.let_in("plum")
    folder = federation.site("plum")
    with Site.open(folder) as site:
        assert site.federation.roster.keys == {"plum": site.identity.public_key}
        assert site.config.declared_users == 1200
        entries = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert [entry["kind"] for entry in entries] == ["roster-accepted", "policy-changed"]
    certificate = x509.load_pem_x509_certificate((folder / "node.pem").read_bytes())
    assert certificate.public_key() == read_node_key(folder).public_key()
    tls_context(folder)  # key, certificate and authority fit
    for name in ("identity.key", "node.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob("*application*"))


def test_what_is_joined_and_under_which_policy_is_shown_before_anything_is_written(
    federation: Federation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = federation.folder / "policy.toml"
    policy.write_text(policy.read_text().replace("epsilon = 8.0", "epsilon = 3.0"))
    federation.let_in("cherry")
    token = Invitation.from_text(federation.invite("plum"))
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
    capsys.readouterr()
    folder = federation.site("plum")
    assert main(["site", "join", token.to_text(), str(folder)]) == 1
    shown = capsys.readouterr().out
    assert not folder.exists()
    assert federation.office.requests() == []
    for part in ("fruit", "cherry", "plum", "at most ε 3.0", "(default 8.0)"):
        assert part in shown
    assert " ".join(token.federation_key[k : k + 4] for k in range(0, 40, 4)) in shown


def test_the_operator_sees_the_fingerprint_that_the_site_shows(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    token = federation.invite("plum")
    assert federation.join(token, "plum", "--no-wait") == 1
    shown = capsys.readouterr()
    (request,) = federation.office.requests()
    spoken = " ".join(request.fingerprint[k : k + 4] for k in range(0, 40, 4))
    assert spoken in shown.out
    assert "read it to the federation's operator" in shown.out
    assert "enrolment/waiting" in shown.err
    assert not (federation.site("plum") / "federation.json").exists()
    federation.approve("plum")
    assert federation.join(token, "plum") == 0
    shown = capsys.readouterr()
    assert "plum has joined fruit" in shown.out
    assert "read it to" not in shown.out


def test_whatever_write_a_site_is_killed_at_the_same_command_ends_well(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, count = durably._written, 0
    for number in range(30):
        site, left = f"site-{number:02d}", [number]
        token = federation.invite(site)

        home = federation.site(site)

        def dies(
            path: Path,
            data: bytes,
            mode: int = 0o600,
            left: list[int] = left,
            home: Path = home,
        ) -> Path:
            temporary = written(path, data, mode)
            if home not in path.parents:
                return temporary  # the office's file, in this same process
            if left[0] == 0:
                raise KeyboardInterrupt  # the bytes lie there, under no name that counts
            left[0] -= 1
            return temporary

        with monkeypatch.context() as patch:
            patch.setattr(durably, "_written", dies)
            federation.join(token, site, "--no-wait")
            if federation.office.requests():
                federation.approve(site)
            federation.join(token, site, "--no-wait")
        if left[0] > 0:  # it came to the end unharmed
            count = number - left[0]
            break
        federation.join(token, site, "--no-wait")
        if federation.office.requests():
            federation.approve(site)
        assert federation.join(token, site) == 0
        tls_context(federation.site(site))
        with Site.open(federation.site(site)) as opened:
            assert opened.federation.roster.keys[site] == opened.identity.public_key
    assert count >= 8


def test_a_token_that_another_has_used_is_of_no_use(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    token = federation.let_in("plum")
    capsys.readouterr()
    assert federation.join(token, "thief", "--no-wait") == 1
    assert code(capsys) == "enrolment/token-used"
    assert not (federation.site("thief") / "federation.json").exists()


def test_an_expired_token_is_refused(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert federation.join(federation.invite("plum", 0), "plum", "--no-wait") == 1
    assert code(capsys) == "enrolment/expired"
    assert not federation.site("plum").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"authority": b"x" * 32}, "enrolment/authority"),
        ({"federation_key": "0" * 40}, "enrolment/federation-key"),
        ({"secret": b"x" * 16}, "enrolment/unknown"),
        ({"address": "127.0.0.1:1"}, "enrolment/unreachable"),
    ],
)
def test_a_desk_that_is_not_the_invitations_is_told_nothing(
    federation: Federation,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    expected: str,
) -> None:
    token = Invitation.from_text(federation.invite("plum"))
    altered = replace(token, **change).to_text()  # type: ignore[arg-type]
    assert federation.join(altered, "plum", "--no-wait") == 1
    assert code(capsys) == expected
    assert not federation.site("plum").exists()


def test_an_authority_that_did_not_sign_the_desks_certificate_is_not_enough(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody in the path who shows the true authority's certificate but has not its key."""
    token = federation.invite("plum")
    other = Authority.create("fruit", now=datetime.now(UTC))
    forged = other.issue_server(["127.0.0.1"], now=datetime.now(UTC))
    (federation.folder / "gateway.pem").write_bytes(forged.certificate + forged.key)
    server, thread = federation.servers.pop(0)
    server.should_exit = True
    thread.join()
    home = CoordinatorHome.open(federation.folder)
    federation.serve(desk_server(home, federation.office.book, desk_tls(home)))
    assert federation.join(token, "plum", "--no-wait") == 1
    assert code(capsys) == "enrolment/authority"
    assert not federation.site("plum").exists()


def test_a_folder_of_another_site_or_federation_is_left_alone(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    federation.let_in("plum")
    before = {p.name: p.read_bytes() for p in federation.site("plum").iterdir() if p.is_file()}
    token = federation.invite("cherry")
    capsys.readouterr()
    assert main(["site", "join", token, str(federation.site("plum")), "-y"]) == 2
    assert code(capsys) == "enrolment/folder"
    after = {p.name: p.read_bytes() for p in federation.site("plum").iterdir() if p.is_file()}
    assert after == before


def test_the_operators_own_policy_and_settings_stay_as_they_are(federation: Federation) -> None:
    folder = federation.site("plum")
    folder.mkdir()
    policy = (federation.folder / "policy.toml").read_text()
    own = policy.replace("epsilon = 8.0", "epsilon = 2.0").replace("# Cap on", "# Ours: cap on")
    (folder / "policy.toml").write_text(own)
    (folder / "site.json").write_text('{"site": "plum", "declared_users": 40}')
    federation.let_in("plum")
    assert (folder / "policy.toml").read_text() == own
    with Site.open(folder) as site:
        assert site.config.declared_users == 40
        assert site.policy.budget.epsilon == 2.0


def test_a_policy_that_is_named_is_in_force_or_the_site_does_not_join(
    federation: Federation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token, policy = federation.invite("plum"), federation.folder / "policy.toml"
    assert federation.join(token, "plum", "--no-wait") == 1  # the proposal is in the folder now
    strict = tmp_path / "strict.toml"
    strict.write_text(policy.read_text().replace("epsilon = 8.0", "epsilon = 2.0"))
    capsys.readouterr()
    assert federation.join(token, "plum", "--no-wait", "--policy", str(strict)) == 2
    assert code(capsys) == "enrolment/folder"
    (federation.site("plum") / "policy.toml").unlink()
    assert federation.join(token, "plum", "--no-wait", "--policy", str(strict)) == 1
    assert (federation.site("plum") / "policy.toml").read_text() == strict.read_text()


def test_a_proposed_policy_verifies_nobody(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = federation.folder / "policy.toml"
    table = "[peers.verified]\n"
    policy.write_text(policy.read_text().replace(table, f'{table}cherry = "{"1" * 40}"\n'))
    assert federation.join(federation.invite("plum"), "plum", "--no-wait") == 2
    assert code(capsys) == "policy/invalid"
    assert not federation.site("plum").exists()


def test_a_member_whose_certificate_is_lost_gets_another_and_may_take_a_new_node_key(
    federation: Federation,
) -> None:
    federation.let_in("plum")
    folder = federation.site("plum")
    before, identity = (folder / "node.key").read_bytes(), (folder / "identity.key").read_bytes()
    (folder / "node.pem").unlink()
    federation.let_in("plum")
    tls_context(folder)
    assert (folder / "node.key").read_bytes() == before
    token = federation.invite("plum")
    assert federation.join(token, "plum", "--no-wait", "--new-node-key") == 1
    tls_context(folder)  # until it is approved, the present one is good
    federation.approve("plum")
    assert federation.join(token, "plum", "--new-node-key") == 0
    tls_context(folder)
    assert (folder / "node.key").read_bytes() != before
    assert (folder / "identity.key").read_bytes() == identity
    with Site.open(folder) as site:
        assert site.federation.roster.epoch == 1


def test_a_copy_of_a_sites_folder_elsewhere_is_the_same_site(federation: Federation) -> None:
    """Moving a folder is no new enrolment; two agents of one site are the operator's mistake."""
    token = federation.let_in("plum")
    shutil.copytree(federation.site("plum"), federation.site("moved"))
    assert main(["site", "join", token, str(federation.site("moved")), "-y"]) == 0


def test_a_site_may_join_before_its_data_have_a_user(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    plum = federation.site("plum")
    plum.mkdir(parents=True)
    (plum / "events.csv").write_text("user_id,item_id\n")
    (plum / "data.toml").write_text('[events]\nfiles = ["events.csv"]\n')
    federation.join(federation.invite("plum"), "plum", "--no-wait")
    told = capsys.readouterr()
    assert "note  data      there are no events" in told.out
    assert [request.site for request in federation.office.requests()] == ["plum"]


def test_a_rejected_site_is_told_and_nothing_is_pinned(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    token = federation.invite("plum")
    federation.join(token, "plum", "--no-wait")
    federation.office.reject("plum")
    capsys.readouterr()
    assert federation.join(token, "plum") == 1
    assert code(capsys) == "enrolment/rejected"
    assert not (federation.site("plum") / "federation.json").exists()


def test_the_fingerprints_of_both_ends_are_of_the_sites_key(federation: Federation) -> None:
    federation.let_in("plum")
    with Site.open(federation.site("plum")) as site:
        key = site.identity.public_key
    with federation.office.book.act() as act:
        epoch = federation.office.book.epoch(act)
    assert epoch is not None
    assert fingerprint(epoch.roster.keys["plum"]) == fingerprint(key)


def test_the_number_of_users_is_the_operators_word_and_the_data_only_propose_it(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = federation.site("plum")
    folder.mkdir()
    rows = [f"u{number},i1" for number in range(1234)]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    token, asked = federation.invite("plum"), []

    def answer(text: str) -> str:
        asked.append(text)
        return "y" if "Join" in text else ""

    monkeypatch.setattr("click.termui.visible_prompt_func", answer)
    words = [token, str(folder), "--events", "events.csv", "--no-wait"]
    assert main(["site", "join", *words, "--yes"]) == 2  # a script must say it
    assert code(capsys) == "enrolment/users"
    assert main(["site", "join", *words]) == 1
    assert any("1200" in text for text in asked)
    assert json.loads((folder / "site.json").read_text())["declared_users"] == 1200
