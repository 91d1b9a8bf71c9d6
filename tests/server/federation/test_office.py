"""What the operator's acts leave behind, also when a process is killed between two steps."""

import json
import sqlite3
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from recommons.common.epochs import Epoch
from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.federation import Federation
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.certificates.authority import site_of
from recommons.server.federation import office as office_module
from recommons.server.federation.acts import show_status
from recommons.server.federation.founding import found
from recommons.server.federation.office import Office
from recommons.server.federation.publishing import publish
from recommons.server.federation.sealed_key import KEY, given_passphrase, open_federation_key
from recommons.server.federation.standing import standings
from recommons.server.gateway import Members
from recommons.server.gateway.denial import Denial
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings
from tests.server.federation.conftest import DAY, NOW, PASSPHRASE, Applicant, Founded


def pinned(founded: Founded) -> Federation:
    return Federation.from_bytes((founded.folder / "federation.json").read_bytes())


def test_secrets_are_sealed_or_their_owners_alone(founded: Founded) -> None:
    secret = founded.key().secret_bytes()
    for path in founded.folder.rglob("*"):
        if path.is_file():
            assert secret.hex() not in path.read_bytes().decode("latin-1"), path
            assert secret not in path.read_bytes(), path
    for name in ("federation.key", "coordinator.key", "authority.key", "enrolment.db"):
        assert (founded.folder / name).stat().st_mode & 0o777 == 0o600, name


def test_no_token_can_be_made_from_what_the_coordinator_keeps(founded: Founded) -> None:
    token = founded.invite("plum")
    data = (founded.folder / "enrolment.db").read_bytes()
    assert token.keys.name in data
    assert token.secret not in data


def test_a_home_is_founded_once_and_a_broken_founding_begins_anew(tmp_path: Path) -> None:
    settings = CoordinatorSettings(federation="fruit", names=("127.0.0.1",))
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("federation.key", "federation.pub", "coordinator.key", "authority.pem"):
        (folder / name).write_text("left over")
    found(folder, settings, key_file=folder / KEY, passphrase=PASSPHRASE, now=DAY)
    assert open_federation_key(folder, folder / KEY, lambda: PASSPHRASE)
    with pytest.raises(InvalidInput) as refused:
        found(folder, settings, key_file=folder / KEY, passphrase=PASSPHRASE, now=DAY)
    assert refused.value.code == "coordinator/home"


def test_a_short_passphrase_founds_nothing(tmp_path: Path) -> None:
    settings = CoordinatorSettings(federation="fruit", names=("127.0.0.1",))
    with pytest.raises(InvalidInput):
        found(tmp_path / "h", settings, key_file=tmp_path / "k", passphrase=PASSPHRASE[:7], now=DAY)
    assert not (tmp_path / "h").exists()


def test_the_key_of_another_federation_signs_nothing_here(
    founded: Founded, tmp_path: Path, plum: Applicant
) -> None:
    settings = CoordinatorSettings(federation="nuts", names=("127.0.0.1",))
    other = tmp_path / "nuts"
    found(other, settings, key_file=other / KEY, passphrase=PASSPHRASE, now=DAY)
    founded.apply(founded.invite("plum"), plum.application())

    def wrong() -> SigningIdentity:
        return open_federation_key(founded.folder, other / KEY, lambda: PASSPHRASE)

    with pytest.raises(InvalidInput) as refused:
        founded.office.approve("plum", wrong, expected=None, now=DAY)
    assert refused.value.code == "federation/key"
    assert founded.office.home.members() == []


def test_a_passphrase_comes_from_a_file_the_environment_or_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p").write_text("from a file\nrest")
    monkeypatch.delenv("RECOMMONS_FEDERATION_PASSPHRASE", raising=False)
    assert given_passphrase(tmp_path / "p", lambda: "asked")() == "from a file"
    assert given_passphrase(None, lambda: "asked")() == "asked"
    monkeypatch.setenv("RECOMMONS_FEDERATION_PASSPHRASE", "from outside")
    assert given_passphrase(None, lambda: "asked")() == "from outside"
    with pytest.raises(InvalidInput):
        given_passphrase(tmp_path / "none", lambda: "asked")()


def test_every_approval_is_one_more_epoch_of_all_members(
    founded: Founded, plum: Applicant, cherry: Applicant
) -> None:
    founded.let_in(plum)
    founded.let_in(cherry)
    federation = pinned(founded)
    assert federation.roster.epoch == 2
    assert list(federation.roster.keys) == ["cherry", "plum"]
    assert federation.coordinator_key == founded.office.coordinator_key
    assert founded.office.home.members() == ["cherry", "plum"]
    pem = (founded.folder / "sites" / "plum.pem").read_bytes()
    assert site_of(x509.load_pem_x509_certificate(pem), "fruit") == "plum"


def test_only_the_fingerprint_that_was_read_out_is_approved(
    founded: Founded, plum: Applicant
) -> None:
    founded.apply(founded.invite("plum"), plum.application())
    (request,) = founded.office.requests()
    for told in ("0" * 40, ""):
        with pytest.raises(InvalidInput) as refused:
            founded.office.approve("plum", founded.key, expected=told, now=DAY)
        assert refused.value.code == "federation/fingerprint"
    spoken = " ".join(request.fingerprint[k : k + 4].upper() for k in range(0, 40, 4))
    founded.office.approve("plum", founded.key, expected=spoken, now=DAY)
    assert founded.office.home.members() == ["plum"]


def test_a_revoked_site_is_refused_at_once_and_leaves_the_next_roster(
    founded: Founded, plum: Applicant, cherry: Applicant
) -> None:
    founded.let_in(plum)
    founded.let_in(cherry)
    members = Members(founded.folder / "sites.json", "fruit")
    pem = (founded.folder / "sites" / "plum.pem").read_bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert members.admit(der).site == "plum"
    founded.office.turn_away("plum")
    with pytest.raises(Denial):
        members.admit(der)
    assert list(pinned(founded).roster.keys) == ["cherry", "plum"]  # nobody asked for a passphrase
    epoch = founded.office.strike("plum", founded.key)
    assert epoch is not None
    assert list(pinned(founded).roster.keys) == ["cherry"]
    assert founded.office.strike("plum", founded.key) is None


def test_the_last_site_is_turned_away_but_stays_on_the_roster(
    founded: Founded, plum: Applicant
) -> None:
    founded.let_in(plum)
    founded.office.turn_away("plum")
    assert founded.office.strike("plum", founded.key) is None
    assert founded.office.home.members() == []
    with pytest.raises(InvalidInput):
        founded.office.turn_away("nobody")


@pytest.mark.parametrize("step", ["after the book", "before the certificate's file"])
def test_an_approval_that_was_killed_before_its_files_were_written_needs_no_repair(
    founded: Founded, plum: Applicant, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    token = founded.invite("plum")
    founded.apply(token, plum.application())

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "after the book":
            patch.setattr(office_module, "publish", killed)
        else:
            patch.setattr(CoordinatorHome, "install", killed)
        with pytest.raises(KeyboardInterrupt):
            founded.approve("plum")
    assert founded.apply(token, plum.application()).state == "approved"
    publish(founded.office.home, founded.office.book)  # what the desk does every two seconds
    assert founded.office.home.members() == ["plum"]
    assert pinned(founded).roster.epoch == 1


def test_an_approval_that_was_killed_within_its_transaction_never_was(
    founded: Founded, plum: Applicant, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = founded.invite("plum")
    founded.apply(token, plum.application())

    def killed(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Office, "_certify", killed)
        with pytest.raises(KeyboardInterrupt):
            founded.approve("plum")
    assert not (founded.folder / "federation.json").exists()
    assert founded.apply(token, plum.application()).state == "waiting"
    founded.approve("plum")
    assert pinned(founded).roster.epoch == 1


def cut_off(founded: Founded, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A rotation of the coordinator's key is killed at this step."""

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    acts = iter((publish, killed))  # it publishes what there was, then what it did
    with monkeypatch.context() as patch:
        if step == "before its epoch":
            patch.setattr(Office, "_next", killed)
        else:
            patch.setattr(office_module, "publish", lambda *given: next(acts)(*given))
        with pytest.raises(KeyboardInterrupt):
            founded.office.appoint(founded.key)


STEPS = ("before its epoch", "before it takes its place")


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", STEPS)
def test_a_rotation_that_was_cut_off_twice_loses_no_key_that_was_appointed(
    founded: Founded, plum: Applicant, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    founded.let_in(plum)
    before = founded.office.coordinator_key
    cut_off(founded, monkeypatch, first)
    cut_off(founded, monkeypatch, second)
    publish(founded.office.home, founded.office.book)
    assert founded.office.coordinator_key == pinned(founded).coordinator_key
    assert (founded.office.coordinator_key == before) == (first == second == STEPS[0])


@pytest.mark.parametrize("step", STEPS)
def test_a_coordinators_key_is_the_appointed_one_however_rotation_ends(
    founded: Founded, plum: Applicant, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    founded.let_in(plum)
    before = founded.office.coordinator_key
    cut_off(founded, monkeypatch, step)
    publish(founded.office.home, founded.office.book)
    assert founded.office.coordinator_key == pinned(founded).coordinator_key
    assert (founded.office.coordinator_key == before) == (step == "before its epoch")
    founded.office.appoint(founded.key)
    assert founded.office.coordinator_key == pinned(founded).coordinator_key != before


def test_the_roster_after_a_rotation_that_was_cut_off_does_not_take_it_back(
    founded: Founded, plum: Applicant, cherry: Applicant, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded.let_in(plum)
    before = founded.office.coordinator_key
    cut_off(founded, monkeypatch, "before it takes its place")
    founded.let_in(cherry)
    assert founded.office.coordinator_key == pinned(founded).coordinator_key != before


def test_a_restored_home_signs_no_epoch_under_a_number_that_a_site_has_pinned(
    founded: Founded, plum: Applicant, cherry: Applicant, capsys: pytest.CaptureFixture[str]
) -> None:
    founded.let_in(plum)
    book = founded.office.book
    with book.act() as act:
        book.report(act, "plum", 4, now=NOW)
    show_status(founded.folder, as_json=False)
    assert "this home is an old backup" in capsys.readouterr().out
    founded.let_in(cherry)
    assert pinned(founded).roster.epoch == 5
    show_status(founded.folder, as_json=False)
    assert "backup" not in capsys.readouterr().out
    with book.act() as act:  # and no member uses up the numbers there are
        book.report(act, "plum", 1 << 52, now=NOW)
    founded.office.appoint(founded.key)
    assert pinned(founded).roster.epoch == 6


def test_before_there_is_a_roster_the_coordinators_key_is_simply_another(
    founded: Founded, plum: Applicant
) -> None:
    before = founded.office.coordinator_key
    assert founded.office.appoint(founded.key) is None
    assert founded.office.coordinator_key != before
    founded.let_in(plum)
    assert pinned(founded).coordinator_key == founded.office.coordinator_key


def test_epochs_follow_each_other_and_carry_their_appointment(
    founded: Founded, plum: Applicant, cherry: Applicant
) -> None:
    founded.let_in(plum)
    founded.let_in(cherry)
    founded.office.appoint(founded.key)
    key = founded.key().public_key
    with founded.office.book.act() as act:
        epochs = [founded.office.book.epoch(act, number) for number in (1, 2, 3, 4)]
        later = founded.office.book.epochs_after(act, 1, 8)
    assert [epoch is not None and epoch.is_signed_by(key) for epoch in epochs] == [True] * 3 + [
        False
    ]
    assert [epoch.roster.epoch for epoch in later] == [2, 3]
    assert Epoch.from_bytes(later[0].to_bytes()) == later[0]


def test_the_status_says_who_is_in_and_what_waits(
    founded: Founded, plum: Applicant, cherry: Applicant
) -> None:
    founded.let_in(plum)
    founded.apply(founded.invite("cherry"), cherry.application())
    founded.invite("pear", 60)
    found_ = standings(founded.office, DAY)
    assert [(m.site, m.turned_away, m.pinned) for m in found_.members] == [("plum", False, None)]
    assert [request.site for request in found_.requests] == ["cherry"]
    assert [(one.site, one.expires) for one in found_.open] == [("pear", NOW + 60)]
    assert json.loads(json.dumps(found_.fields()))["epoch"] == 1


def test_a_name_that_is_none_or_the_coordinators_is_not_invited(founded: Founded) -> None:
    for name in ("Plum", "../x", "coordinator", ""):
        with pytest.raises(InvalidInput) as refused:
            founded.invite(name)
        assert refused.value.code == "federation/name"


def test_the_book_is_whole_after_a_process_dies_in_the_middle_of_a_write(
    founded: Founded, plum: Applicant
) -> None:
    token = founded.invite("plum")
    path = founded.folder / "enrolment.db"
    book, name, key = founded.office.book, token.keys.name, plum.identity.public_key

    def dies() -> None:
        with book.act() as act:
            book.ask(act, name, public_key=key, node_key="x", application=b"half", now=NOW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    assert founded.office.requests() == []
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_renewed_server_certificate_is_one_file_with_its_key(founded: Founded) -> None:
    home = founded.office.home
    before = (founded.folder / "gateway.pem").read_bytes()
    assert not home.renew_gateway(now=DAY)
    assert home.renew_gateway(now=DAY, force=True)
    after = (founded.folder / "gateway.pem").read_bytes()
    assert after != before
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(founded.folder / "gateway.pem")


def test_an_unreadable_home_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecommonsError) as refused:
        Office.open(tmp_path)
    assert refused.value.code == "coordinator/home"
