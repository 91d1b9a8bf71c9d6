"""A site's signing key is replaced without a break in its ledger or in its peers' trust."""

from pathlib import Path

import pytest

from recommons.client import keys
from recommons.client.keys import create_key
from recommons.client.membership.peers import set_verified
from recommons.client.records.books import LEDGER
from recommons.client.site import Site
from recommons.common.commandline import main
from recommons.common.errors import InvalidInput
from recommons.common.peers import fingerprint
from recommons.common.policy_file import policy_from_toml
from recommons.common.privacy.ledger import split_lines, verify_chain
from tests.client.membership.conftest import Federation
from tests.client.membership.test_news import hear


def key_of(folder: Path) -> bytes:
    with Site.open(folder) as site:
        return site.identity.public_key


def verified(folder: Path) -> dict[str, str]:
    return policy_from_toml((folder / "policy.toml").read_bytes()).peers.verified


def test_a_sites_key_is_replaced_by_its_own_word_and_everything_goes_on(
    federation: Federation, tmp_path: Path
) -> None:
    federation.let_in("a")
    federation.let_in("b")
    a, b = federation.site("a"), federation.site("b")
    hear(federation, "a")
    assert main(["site", "roster", "accept", "--site", str(a), "--yes"]) == 0
    before = key_of(a)
    set_verified(b, {"a": fingerprint(before)})
    assert main(["site", "rotate", str(a), "--yes"]) == 0
    hear(federation, "a")
    assert key_of(a) == before  # until the epoch is pinned
    federation.approve("a")
    hear(federation, "a", "b")
    for folder in (a, b):
        assert main(["site", "roster", "accept", "--site", str(folder), "--yes"]) == 0
    after = key_of(a)
    assert after != before
    with Site.open(b) as other:
        assert other.federation.roster.keys["a"] == after
    assert verified(b) == {"a": fingerprint(after)}
    with Site.open(a) as site, site.store.transaction() as transaction:
        site.record(transaction, "user-forgotten", {})
        assert LEDGER.last(transaction) is not None
    with Site.open(a) as site:
        site.publish_ledger()
    lines = split_lines((a / "ledger.jsonl").read_bytes())
    entries = verify_chain(lines, before, writer="a")
    assert entries[-1].kind == "user-forgotten"
    assert main(["site", "ledger", "export", str(a), str(tmp_path / "out")]) == 0
    hear(federation, "a", "b")
    assert federation.office.requests() == []


@pytest.mark.parametrize("step", ["before the ledger's key", "before the next key's place"])
def test_a_site_killed_while_its_key_changes_has_one_key_that_fits_the_roster(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    federation.let_in("a")
    a = federation.site("a")
    before = key_of(a)
    assert main(["site", "rotate", str(a), "--yes"]) == 0
    hear(federation, "a")
    federation.approve("a")
    hear(federation, "a")

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "before the ledger's key":
            patch.setattr(keys, "create_durably", killed)
        else:
            patch.setattr(Path, "replace", _only(Path.replace, "identity.key", killed))
        main(["site", "roster", "accept", "--site", str(a), "--yes"])
    with Site.open(a) as site:
        assert site.identity.public_key == site.federation.roster.keys["a"] != before
        assert site.ledger_identity.public_key == before
    verify_chain(split_lines((a / "ledger.jsonl").read_bytes()), before, writer="a")


def _only(real, name: str, killed):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    def replace(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            killed()
        return Path(real(self, target))

    return replace


def test_a_next_key_that_no_roster_names_changes_nothing(federation: Federation) -> None:
    federation.let_in("a")
    a = federation.site("a")
    before = key_of(a)
    create_key(a / "identity.next.key")
    assert key_of(a) == before
    assert not (a / "ledger.key").exists()


@pytest.mark.parametrize(
    "table",
    [
        '[peers.verified]\n"a" = "OLD" # told by Ann\n# end\n\n[roster]\nnew_epoch = "by-hand"\n',
        "[peers.verified]\na = 'OLD'\n",
        "[budget]\nepsilon = 2.0\n\n[peers.verified]\n",
        "",
        "# nothing but a comment",
    ],
)
def test_one_line_of_a_policy_is_written_and_the_rest_stays(tmp_path: Path, table: str) -> None:
    path, old, new = tmp_path / "policy.toml", "1" * 40, "2" * 40
    path.write_text(table.replace("OLD", old))
    set_verified(tmp_path, {"a": new, "b.c": old})
    assert verified(tmp_path) == {"a": new, "b.c": old}
    kept = [line for line in table.splitlines() if "OLD" not in line]
    assert set(kept) <= set(path.read_text().splitlines())
    set_verified(tmp_path, {"a": None, "b.c": None})
    assert verified(tmp_path) == {}


def test_a_policy_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[peers]\nverified = {a = "' + "1" * 40 + '"}\n')
    before = path.read_text()
    with pytest.raises(InvalidInput) as refused:
        set_verified(tmp_path, {"b": "2" * 40})
    assert refused.value.code == "policy/invalid"
    assert path.read_text() == before
