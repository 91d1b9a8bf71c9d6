"""The committed vectors: rebuilt by the main implementation, reproduced by the naive one."""

import ast
import functools
import json
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel, ValidationError

from tests.naive_secagg import keys, masks, sharing
from tests.naive_secagg import messages as m
from tests.naive_secagg.attempt import Attempt, full_hash, leaf, vector_hash
from tests.naive_secagg.coordinator import Coordinator
from tests.naive_secagg.fields import Refused, SiteSet, digest
from tests.naive_secagg.site import Site
from tests.vectors import models, operation_models
from tests.vectors.generate import FOLDER, build

T = TypeVar("T", bound=BaseModel)
FILES = sorted(path.name for path in FOLDER.glob("*.json"))
NAIVE = FOLDER.parent / "naive_secagg"
of = bytes.fromhex


@functools.cache
def load(name: str, model: type[T]) -> T:
    return model.model_validate_json((FOLDER / f"{name}.json").read_bytes())


@functools.cache
def transcripts() -> dict[str, models.Transcript]:
    files = [load(f"transcripts-{n}", models.Transcripts) for n in (3, 5, 10)]
    return {t.name: t for file in files for t in file.transcripts}


def rejections() -> list[models.Rejection]:
    return list(load("rejected", models.Rejected).cases)


@pytest.fixture(scope="module")
def rebuilt() -> dict[str, bytes]:
    return build()


def test_the_folder_holds_exactly_the_generated_files(rebuilt: dict[str, bytes]) -> None:
    assert sorted(rebuilt) == FILES
    assert sum(len(data) for data in rebuilt.values()) < 1_500_000


@pytest.mark.parametrize("name", FILES)
def test_regenerating_a_file_gives_the_committed_bytes(
    name: str, rebuilt: dict[str, bytes]
) -> None:
    assert (FOLDER / name).read_bytes() == rebuilt[name]


@pytest.mark.parametrize("name", [name for name in FILES if name != "schema.json"])
def test_each_file_keeps_to_the_schema_and_a_stray_field_would_not(name: str) -> None:
    value = json.loads((FOLDER / name).read_bytes())
    models.VectorFile.model_validate_json(json.dumps(value))
    with pytest.raises(ValidationError):
        models.VectorFile.model_validate_json(json.dumps(value | {"stray": 0}))


def test_the_naive_implementation_shares_no_code_with_the_main_one() -> None:
    found = set()
    for path in NAIVE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").split(".")[0])
                assert node.module != "tests.vectors"
    assert found == {"collections", "cryptography", "hashlib", "hmac", "tests", "typing"}


# Single operations.


def test_contexts_are_reproduced() -> None:
    for c in load("derivation", operation_models.Derivation).contexts:
        assert digest("recommons/roster/1", c.roster.encode()) == of(c.roster_hash)
        found = keys.context_hash(
            c.federation,
            of(c.run),
            c.round,
            c.attempt,
            c.cohort,
            of(c.roster_hash),
            of(c.plan_hash),
        )
        assert found == of(c.ctx)


def test_expansions_and_key_pairs_are_reproduced() -> None:
    file = load("derivation", operation_models.Derivation)
    for e in file.expansions:
        length = len(of(e.bytes))
        assert keys.expand(of(e.entropy), e.purpose, of(e.context), length) == of(e.bytes)
    for p in file.key_pairs:
        assert keys.expand(of(p.entropy), "mask-key", of(p.ctx), 32) == of(p.mask_private)
        assert keys.public_key(of(p.mask_private)) == of(p.mask_public)
        private = keys.expand(of(p.entropy), "encryption-key", of(p.ctx), 32)
        assert private == of(p.encryption_private)
        assert keys.public_key(private) == of(p.encryption_public)


def test_the_hash_fixed_at_step_2_is_reproduced() -> None:
    for f in load("derivation", operation_models.Derivation).fulls:
        members = SiteSet(f.members.size, tuple(f.members.members))
        entries = [m.KeyEntry(of(a), of(e), b"") for a, e in f.keys]
        message = m.Keys(of(f.ctx), members, entries, of(f.spec), of(f.public_state))
        assert full_hash(message) == of(f.full)
        assert digest("recommons/round-spec/1", of(f.spec)) == of(f.spec_hash)


def test_mask_keys_are_reproduced_from_either_side() -> None:
    file = load("derivation", operation_models.Derivation)
    for p in file.pair_masks:
        i, j = p.sites
        mine, theirs = map(of, p.privates)
        assert tuple(keys.public_key(k).hex() for k in (mine, theirs)) == p.publics
        for private, public, own, other in (
            (mine, of(p.publics[1]), i, j),
            (theirs, of(p.publics[0]), j, i),
        ):
            assert keys.pair_mask_key(private, public, of(p.full), own, other) == of(p.key)
    for s in file.self_masks:
        assert keys.self_mask_key(of(s.seed), of(s.full), s.site) == of(s.key)


def test_sealed_shares_are_reproduced_and_open() -> None:
    for s in load("derivation", operation_models.Derivation).sealed:
        full, openings, sealed = of(s.full), of(s.openings), of(s.ciphertext)
        key = keys.share_key(of(s.private), of(s.public), full, s.dealer, s.holder)
        assert keys.encrypt(key, full, s.dealer, s.holder, openings) == sealed
        assert keys.decrypt(key, full, s.dealer, s.holder, sealed) == openings
        assert keys.decrypt(key, full, s.holder, s.dealer, sealed) is None


def test_usable_points_are_told_from_the_others() -> None:
    points = load("derivation", operation_models.Derivation).points
    assert {point.usable for point in points} == {True, False}
    for point in points:
        assert keys.usable_point(of(point.point)) is point.usable, point.why


def test_masks_are_reproduced_coordinate_by_coordinate() -> None:
    for mask in load("masks", operation_models.Masks).masks:
        before = [int(value) for value in mask.before]
        after = masks.add_mask(before, of(mask.key), mask.sign, mask.bits)
        assert after == [int(value) for value in mask.after]
        assert masks.encode_vector(after, mask.bits) == of(mask.wire)
        assert masks.decode_vector(of(mask.wire), mask.bits) == after
        assert [masks.centred(v, mask.bits) for v in after] == [int(v) for v in mask.centred]


def test_masks_of_long_vectors_are_reproduced_across_chunks() -> None:
    for mask in load("masks", operation_models.Masks).long:
        for place, word in mask.words.items():
            assert masks.mask_word(of(mask.key), mask.bits, int(place)) == int(word)


def test_shares_are_reproduced_and_combine() -> None:
    file = load("shares", operation_models.Shares)
    assert int(file.prime) == sharing.PRIME
    for s in file.split:
        shares = sharing.shares_of(of(s.secret), s.threshold, s.points, of(s.randomness))
        assert [share.to_bytes(33, "big").hex() for share in shares] == s.shares
    for c in file.combine:
        value = sharing.recover(c.points, [int(share, 16) for share in c.shares])
        assert (value.to_bytes(32, "big").hex() if value < 2**256 else None) == c.secret


def test_commitments_and_trees_are_reproduced() -> None:
    file = load("commitments", operation_models.Commitments)
    for s in file.seeds:
        assert keys.seed_commitment(of(s.seed), of(s.full), s.site) == of(s.commitment)
    for c in file.shares:
        found = keys.share_commitment(of(c.full), c.kind, c.dealer, c.holder, of(c.opening))
        assert found == of(c.commitment)
    for row in file.leaves:
        assert leaf(row.holder, of(row.commitments), of(row.ciphertext)) == of(row.leaf)
    for t in file.trees:
        leaves = [of(row) for row in t.leaves]
        assert sharing.root_of(leaves) == of(t.root)
        for place, siblings in enumerate(t.paths):
            assert sharing.path(leaves, place) == [of(s) for s in siblings]
            assert sharing.root_from(leaves[place], place, [of(s) for s in siblings]) == of(t.root)


def test_parameters_are_judged_alike() -> None:
    for row in load("parameters", operation_models.Parameters).rows:
        n, c, survivors = row.sites, row.colluding, row.survivors
        quorum = (n + c) // 2 + 1
        if not 2 <= n <= 4096:
            assert row.code == "secagg/cohort-size"
        elif not c <= n - 2:
            assert row.code == "secagg/colluding"
        elif not max(quorum, c + 2) <= survivors <= n:
            assert row.code == "secagg/least-survivors"
        else:
            assert (row.code, row.quorum, row.dropouts) == (None, quorum, n - survivors)


# Messages.


def plain(value: Any) -> Any:
    """A naive message as the vectors write it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        return value
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, SiteSet):
        return {"size": value.size, "members": list(value.members)}
    found = {name: plain(getattr(value, name)) for name in value._fields}
    # Lists of digests and the like are written without gaps.
    for name in ("commitments", "ciphertexts", "path", "openings"):
        if isinstance(found.get(name), list):
            found[name] = "".join(found[name])
    return found


def test_messages_are_read_field_by_field_and_written_to_the_same_bytes() -> None:
    encodings = load("messages", operation_models.Messages).encodings
    assert {encoding.kind for encoding in encodings} == set(range(1, 10))
    for encoding in encodings:
        message = m.read(of(encoding.bytes), encoding.kind)
        assert plain(message) == encoding.fields
        assert m.write(message) == of(encoding.bytes)


def test_malformed_messages_are_refused_under_the_same_codes() -> None:
    for case in load("messages", operation_models.Messages).malformed:
        with pytest.raises(Refused) as refused:
            m.read(of(case.bytes), case.kind)
        assert refused.value.code == case.code, case.name


# Attempts.


def attempt_of(t: models.Transcript) -> Attempt:
    c = t.context
    signing = {site.site: of(site.signing_public) for site in t.sites}
    return Attempt(
        federation=c.federation,
        run=of(c.run),
        round_index=c.round,
        attempt=c.attempt,
        cohort=c.cohort,
        public_keys=[signing[name] for name in c.cohort],
        roster_hash=of(c.roster_hash),
        plan_hash=of(c.plan_hash),
        colluding=t.parameters.colluding,
        survivors=t.parameters.survivors,
        bits=t.shape.bits,
        size=t.shape.size,
        spec=of(t.spec),
    )


def naive_site(t: models.Transcript, name: str, **rules: Any) -> Site:
    place = t.context.cohort.index(name)
    brought = t.sites[place]
    assert brought.site == name
    vector = [int(value) for value in brought.vector]
    signing, entropy = of(brought.signing_secret), of(brought.entropy)
    return Site(attempt_of(t), place, signing, entropy, vector, **rules)


def sent_to(t: models.Transcript, name: str, kind: int) -> bytes | None:
    data = t.inboxes.get(name) if kind == 4 else t.broadcasts.get(str(kind))  # type: ignore[call-overload]
    return None if data is None else of(data)


def fed(coordinator: Coordinator, t: models.Transcript, step: int) -> None:
    for place, name in enumerate(t.context.cohort):
        data = t.uploads[name].get(str(step))  # type: ignore[call-overload]
        if data is not None:
            assert coordinator.receive(place, of(data)) in (None, t.excluded.get(name))


def closed(coordinator: Coordinator, t: models.Transcript) -> dict[int, bytes]:
    extra = {1: of(t.public_state), 7: of(t.annex)}
    return coordinator.close(extra.get(coordinator.step, b""))


TRANSCRIPTS = pytest.mark.parametrize("name", sorted(transcripts()))


@TRANSCRIPTS
def test_a_naive_site_sends_every_message_of_a_transcript(name: str) -> None:
    t = transcripts()[name]
    for brought in t.sites:
        site, sent = naive_site(t, brought.site), t.uploads[brought.site]
        answer = site.advertise()
        for kind in (1, 3, 5, 7, 9):
            data = sent_to(t, brought.site, kind - 1) if kind > 1 else None
            if data is not None:
                answer = site.receive(kind - 1, data)
            found = sent.get(str(kind))  # type: ignore[call-overload]
            if found is None:
                break  # lost on the way: the coordinator goes on without this site
            if not (brought.cheats and kind == 3):
                assert answer == of(found), kind
        secrets = t.secrets[brought.site]
        assert site.mask_private == of(secrets.mask_private)
        assert site.encryption_private == of(secrets.encryption_private)
        if secrets.seed is not None:
            assert (site.seed, site.full) == (of(secrets.seed), of(t.full or ""))


@TRANSCRIPTS
def test_a_naive_coordinator_sends_every_message_and_opens_the_sum(name: str) -> None:
    t = transcripts()[name]
    coordinator = Coordinator(attempt_of(t))
    assert attempt_of(t).ctx == of(t.context.ctx)
    total, code = None, None
    try:
        for step in (1, 3, 5, 7):
            fed(coordinator, t, step)
            for place, message in closed(coordinator, t).items():
                assert message == sent_to(t, t.context.cohort[place], step + 1), step
        fed(coordinator, t, 9)
        total = coordinator.finish()
    except Refused as refused:
        code = refused.code
    excluded = {t.context.cohort[place]: why for place, why in coordinator.excluded.items()}
    assert excluded == t.excluded
    if t.ending is not None:
        assert (coordinator.step, code) == (t.ending.step, t.ending.code)
    if t.result is None:
        assert total is None
        return
    assert total is not None
    survivors = [t.context.cohort[place] for place in coordinator.survivors.members]
    assert survivors == t.result.survivors
    assert masks.encode_vector(total, t.shape.bits) == of(t.result.wire)
    centred = [masks.centred(value, t.shape.bits) for value in total]
    assert centred == [int(value) for value in t.result.values]
    assert total == plain_sum(t)
    for name in survivors:
        masked = m.read(of(t.uploads[name]["5"]), 5)
        assert isinstance(masked, m.Masked)
        found = vector_hash(masked.bits, masked.size, masked.vector)
        assert found == of(t.result.vector_hashes[name])


def plain_sum(t: models.Transcript) -> list[int]:
    assert t.result is not None
    rows = [[int(v) for v in s.vector] for s in t.sites if s.site in t.result.survivors]
    return [sum(column) % 2**t.shape.bits for column in zip(*rows, strict=True)]


def test_the_transcripts_cover_three_five_and_ten_sites_in_both_rings_with_dropouts() -> None:
    opened = [t for t in transcripts().values() if t.result]
    for sites in (3, 5, 10):
        for bits in (32, 64):
            found = [t for t in opened if (t.parameters.sites, t.shape.bits) == (sites, bits)]
            assert found
    lost = {step for t in opened for step in t.lost.values()}
    assert lost == {1, 3, 5, 7, 9}
    codes = {t.ending.code for t in transcripts().values() if t.ending}
    assert codes == {
        "secagg/too-few-sites",
        "secagg/quorum",
        "secagg/too-few-shares",
        "secagg/dealer-fault",
    }


@pytest.mark.parametrize("case", rejections(), ids=lambda case: case.name)
def test_the_naive_implementation_refuses_what_must_be_refused(case: models.Rejection) -> None:
    t = transcripts()[case.transcript]
    if case.receiver == "coordinator":
        coordinator = Coordinator(attempt_of(t))
        for step in range(1, case.kind, 2):
            fed(coordinator, t, step)
            closed(coordinator, t)
        places = {name: place for place, name in enumerate(t.context.cohort)}
        for name in case.already:
            assert coordinator.receive(places[name], of(t.uploads[name][str(case.kind)])) is None  # type: ignore[index]
        sender = places[case.sender or ""]
        assert coordinator.receive(sender, of(case.message)) == case.code
        assert (sender in coordinator.excluded) is case.ends
        return
    rules: dict[str, Any] = {}
    if case.verified:
        peers = [t.context.cohort.index(name) for name in case.verified.peers]
        rules["verified"] = (peers, case.verified.least)
    if case.pinned_state_hash:
        rules["pinned_state"] = of(case.pinned_state_hash)
    site = naive_site(t, case.receiver, **rules)
    site.advertise()
    for kind in range(2, case.after or 0, 2):
        data = sent_to(t, case.receiver, kind)
        assert data is not None
        site.receive(kind, data)
    with pytest.raises(Refused) as refused:
        site.receive(case.kind, of(case.message))
    assert refused.value.code == case.code
    assert (site.step == 0) is case.ends


def test_every_code_of_a_message_check_is_covered() -> None:
    path = Path(__file__).parents[3] / "common" / "codes.py"
    known = {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and str(node.value).startswith("secagg/")
    }
    of_callers = {  # raised before a message is looked at: arguments, states, new attempts
        "secagg/cohort-size",
        "secagg/colluding",
        "secagg/context",
        "secagg/least-survivors",
        "secagg/not-in-cohort",
        "secagg/roster",
        "secagg/state",
        "secagg/superseded",
        "secagg/vector",
    }
    malformed = {case.code for case in load("messages", operation_models.Messages).malformed}
    endings = {t.ending.code for t in transcripts().values() if t.ending}
    assert {c.code for c in rejections()} | malformed | endings == known - of_callers
