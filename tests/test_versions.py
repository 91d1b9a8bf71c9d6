"""The page of versions, held against the constants, the domains and the refusals of the code."""

import importlib
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from recommons.client.records.store import SiteStore
from recommons.common import enrolment, invitation, news, sealing, wire
from recommons.common.codes import CODES
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes, catalogue_to_bytes
from recommons.common.documents import Document
from recommons.common.errors import ProtocolAbort, RecommonsError
from recommons.common.policy import Policy
from recommons.common.privacy.events import event_from_json
from recommons.common.privacy.spending import Spending
from recommons.common.secagg import envelope
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.server.federation.book import Book
from recommons.server.gateway.members import read_members

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "versions.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| (\S+) \| `([\w.]+)` \| ([^|]+) \|$", PAGE, re.MULTILINE)
SOURCES = {
    path.relative_to(ROOT): path.read_text()
    for room in ("client", "common", "server", "simulations")
    for path in (ROOT / room).rglob("*.py")
}


def constant(name: str) -> Any:
    """A constant, or the default of a model's field, by its dotted name below the package."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        with suppress(ModuleNotFoundError):
            module = importlib.import_module("recommons." + ".".join(parts[:cut]))
            found: Any = reduce(getattr, parts[cut:-1], module)
            if isinstance(found, type) and issubclass(found, BaseModel):
                return found.model_fields[parts[-1]].default
            return getattr(found, parts[-1])
    raise AssertionError(name)


def test_versions_of_the_page_are_those_of_the_code() -> None:
    assert len(ROWS) > 20
    for _, version, name, _ in ROWS:
        assert str(constant(name)) == version, name


def test_every_version_in_the_code_is_on_the_page() -> None:
    constants = re.compile(
        r"^ *(?:_?[A-Z_]*VERSION|version)(?:: (?:ClassVar\[int\]|Literal\[1\]))? = \d", re.MULTILINE
    )
    defining = {
        ".".join(path.with_suffix("").parts)
        for path, text in SOURCES.items()
        if constants.search(text)
    }
    named = {name for _, _, name, _ in ROWS}
    assert len(defining) > 20
    assert {
        module for module in defining if not any(n.startswith(module + ".") for n in named)
    } == (set())


def test_the_page_names_every_domain_and_all_are_of_version_1() -> None:
    found = {
        (name, version)
        for path, text in SOURCES.items()
        if path.parts[0] != "simulations"
        for name, version in re.findall(r"[\"`](recommons/[a-z-]+)/(\d+)", text)
    }
    listed = PAGE[PAGE.index("Domains, all of version 1") : PAGE.index("## Flower")]
    assert {version for _, version in found} == {"1"}
    assert {name for name, _ in found} == set(re.findall(r"`(recommons/[a-z-]+)`", listed))


def test_flower_is_pinned_as_the_page_says() -> None:
    pinned = re.search(r'"flwr==([^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert pinned is not None
    assert f"`{pinned[1]}`" in PAGE


REPORT = news.Report(epoch=1).to_bytes()
NEWS = news.News(time=1).to_bytes()
STANDING = enrolment.Standing(state="waiting").to_bytes()
ENVELOPE = wire.Envelope(run_id=bytes(16), exchange="join").to_bytes()
OUTCOME = wire.Outcome().to_bytes()
ROSTER = Roster(
    federation="fruit",
    epoch=1,
    sites=(RosterSite(site="plum", name="Plum", public_key=b"\2" * 32),),
).to_bytes()
CATALOGUE = catalogue_to_bytes(Catalogue(item_ids=("a", "b"), titles=("A", "B")))
SEALED = sealing.seal(b"secret", "long enough", purpose="test", random=bytes(sealing.SEAL_BYTES))
POLICY = b'{"version":1}'
MEMBERS = b'{"version":1,"sites":[]}'

IDENTITY = SigningIdentity(b"\1" * 32)
DOCUMENTS: tuple[Document | wire.Outcome, ...] = (
    news.Report(epoch=1),
    news.News(time=1),
    enrolment.Application.sign("fruit", "plum", "Plum", IDENTITY, b"request"),
    enrolment.Offer(
        federation_key=bytes(32), address="fruit.example:443", policy="", time=1, epoch=None
    ),
    enrolment.Standing(state="waiting"),
    wire.Envelope(run_id=bytes(16), exchange="join"),
    wire.Outcome(),
)


@pytest.mark.parametrize("sample", DOCUMENTS, ids=lambda sample: type(sample).__name__)
def test_a_document_bears_the_version_that_the_page_names_for_it_alone(
    sample: Document | wire.Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(sample)
    name = f"{kind.__module__.removeprefix('recommons.')}.{kind.__name__}.version"
    assert name in {row[2] for row in ROWS}
    before = {type(other): other.to_bytes() for other in DOCUMENTS}
    assert kind.from_bytes(before[kind]).to_bytes() == before[kind]
    monkeypatch.setattr(kind, "version", 2)
    assert {type(other) for other in DOCUMENTS if other.to_bytes() != before[type(other)]} == {kind}
    assert sample.to_bytes() == before[kind].replace(b'"version":1', b'"version":2')
    with pytest.raises(RecommonsError):
        kind.from_bytes(before[kind])


def test_every_document_has_a_version_of_its_own() -> None:
    kinds = Document.__subclasses__()
    assert {kind for kind in kinds if "version" not in vars(kind)} == set()
    assert set(kinds) <= {type(sample) for sample in DOCUMENTS}


READERS: Mapping[str, tuple[bytes, Callable[[bytes], object]]] = {
    "report": (REPORT, news.Report.from_bytes),
    "news": (NEWS, news.News.from_bytes),
    "standing": (STANDING, enrolment.Standing.from_bytes),
    "envelope": (ENVELOPE, wire.Envelope.from_bytes),
    "outcome": (OUTCOME, wire.Outcome.from_bytes),
    "roster": (ROSTER, Roster.from_bytes),
    "catalogue": (CATALOGUE, catalogue_from_bytes),
    "sealed": (SEALED, lambda data: sealing.unseal(data, "long enough", purpose="test")),
    "policy": (POLICY, Policy.from_json),
    "members": (MEMBERS, read_members),
}
CODE_OF = {
    "report": "enrolment/message",
    "news": "enrolment/message",
    "standing": "enrolment/message",
    "envelope": "site/message",
    "outcome": "site/message",
    "roster": "secagg/roster",
    "catalogue": "data/catalogue",
    "sealed": "federation/passphrase",
    "policy": "policy/invalid",
    "members": "gateway/members",
}


@pytest.mark.parametrize("name", READERS)
def test_another_version_is_refused_by_the_code_of_the_page(name: str) -> None:
    data, read = READERS[name]
    read(data)
    later = data.replace(b'"version":1', b'"version":2')
    assert later != data
    with pytest.raises(RecommonsError) as refused:
        read(later)
    assert refused.value.code == CODE_OF[name]
    assert any(f"`{CODE_OF[name]}`" in told for _, _, _, told in ROWS)


def test_another_version_of_messages_tokens_events_and_spending_is_refused_by_name() -> None:
    message = envelope.header(envelope.MessageKind.KEYS, bytes(32))
    envelope.message_context(message)
    reads: dict[str, Callable[[], object]] = {
        "secagg/version": lambda: envelope.message_context(b"\2" + message[1:]),
        "enrolment/token": lambda: invitation.Invitation.from_text("rcm2-AAAA"),
        "privacy/unknown-event": lambda: event_from_json({"type": "gaussian-sum", "version": 2}),
        "privacy/bad-spending": lambda: Spending.from_json({"version": 2, "charges": []}),
    }
    Spending.from_json({"version": 1, "charges": []})
    for code, read in reads.items():
        with pytest.raises((RecommonsError, ProtocolAbort)) as refused:
            read()
        assert refused.value.code == code


DATABASES: Mapping[str, tuple[str, Callable[[Path], Any]]] = {
    "site": ("site/database", SiteStore),
    "site, looked at": ("site/database", lambda path: SiteStore(path, read_only=True)),
    "enrolment desk": ("federation/database", Book),
}


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("version", [0, 2, 9])
def test_a_database_of_another_version_is_refused_and_left_as_it_is(
    tmp_path: Path, name: str, version: int
) -> None:
    code, opened = DATABASES[name]
    path = tmp_path / "some.db"
    (Book if opened is Book else SiteStore)(path).close()
    opened(path).close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (1,)
        file.execute("DROP TABLE heads" if opened is not Book else "DROP TABLE reports")
        file.execute(f"PRAGMA user_version={version}")
        file.commit()
    before = path.read_bytes()
    with pytest.raises(RecommonsError) as refused:
        opened(path)
    assert refused.value.code == code
    assert path.read_bytes() == before


def test_refusals_of_the_page_are_named_codes() -> None:
    named = {code for _, _, _, told in ROWS for code in re.findall(r"`([a-z]+/[a-z-]+)`", told)}
    assert len(named) > 15
    assert named <= set(CODES)
