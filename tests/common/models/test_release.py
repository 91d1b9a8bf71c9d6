"""A released model as bytes: what comes back, and what is refused."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recommons.common.errors import InvalidInput
from recommons.common.models.interface import ModelRelease
from recommons.common.models.release import (
    ARRAYS_FILE,
    DOCUMENT_FILE,
    ReleaseMetadata,
    decode_release,
    encode_release,
)

RELEASE = ModelRelease(
    model="als",
    arrays={
        "factors": np.arange(6, dtype=np.float32).reshape(3, 2),
        "counts": np.array([3.5, -0.25, 0.0]),
        "features_indptr": np.array([0, 1, 1, 2], np.int64),
    },
    settings={"users": 12.5, "features": 2, "normalised": True},
)
METADATA = ReleaseMetadata(
    item_ids=("10002", "20682", "ü 3"),
    titles=("INFLATABLE GLOBE", "", "„Tasse“"),
    plan_hash="ab" * 32,
    features=("title", "price"),
    privacy={"epsilon": None, "delta": 1e-6},
    catalogue_assumed_public=True,
)


@pytest.fixture
def files() -> dict[str, bytes]:
    return dict(encode_release(RELEASE, METADATA))


def test_a_release_survives_the_way_to_bytes_and_back(files: dict[str, bytes]) -> None:
    release, metadata = decode_release(files)
    assert metadata == METADATA
    assert (release.model, release.settings) == (RELEASE.model, RELEASE.settings)
    assert release.arrays.keys() == RELEASE.arrays.keys()
    for name, array in RELEASE.arrays.items():
        assert release.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(release.arrays[name], array)


def test_the_same_release_gives_the_same_bytes(files: dict[str, bytes]) -> None:
    turned = ModelRelease(
        model=RELEASE.model,
        arrays=dict(reversed(list(RELEASE.arrays.items()))),
        settings=dict(reversed(list(RELEASE.settings.items()))),
    )
    assert encode_release(turned, METADATA) == files


def test_arrays_that_are_views_are_written_as_they_read() -> None:
    wide = np.arange(12, dtype=np.float32).reshape(3, 4)
    release = ModelRelease(model="als", arrays={"factors": wide[:, ::2]})
    read, _ = decode_release(encode_release(release, METADATA))
    np.testing.assert_array_equal(read.arrays["factors"], wide[:, ::2])


def test_the_document_pins_the_arrays(files: dict[str, bytes]) -> None:
    document = json.loads(files[DOCUMENT_FILE])
    assert document["arrays_sha256"] == hashlib.sha256(files[ARRAYS_FILE]).hexdigest()
    for place in range(0, len(files[ARRAYS_FILE]), 7):
        damaged = bytearray(files[ARRAYS_FILE])
        damaged[place] ^= 1
        with pytest.raises(InvalidInput) as caught:
            decode_release(files | {ARRAYS_FILE: bytes(damaged)}, source="runs/001/model")
        assert caught.value.code == "release/corrupt"
        assert "runs/001/model/model.safetensors" in caught.value.message


def edited(files: dict[str, bytes], edit: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    document = json.loads(files[DOCUMENT_FILE])
    edit(document)
    return files | {DOCUMENT_FILE: json.dumps(document).encode()}


UNSOUND: dict[str, Callable[[dict[str, Any]], object]] = {
    "no ids": lambda d: d.pop("item_ids"),
    "an id twice": lambda d: d.update(item_ids=["a", "a", "b"]),
    "too few titles": lambda d: d.update(titles=["only one"]),
    "no hash": lambda d: d.update(plan_hash="short"),
    "an unknown field": lambda d: d.update(surprise=1),
    "another format": lambda d: d.update(format="something/else"),
    "an array not named": lambda d: d["arrays"].pop("counts"),
    "another type": lambda d: d["arrays"].update(counts=["float32", [3]]),
    "another shape": lambda d: d["arrays"].update(factors=["float32", [2, 3]]),
    "no settings": lambda d: d.update(settings=[]),
}


@pytest.mark.parametrize("edit", UNSOUND.values(), ids=UNSOUND.keys())
def test_a_document_that_is_not_sound_is_refused(
    files: dict[str, bytes], edit: Callable[[dict[str, Any]], object]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_release(edited(files, edit))
    assert caught.value.code == "release/corrupt"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_what_is_no_document_is_refused(files: dict[str, bytes], text: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_release(files | {DOCUMENT_FILE: text})
    assert caught.value.code == "release/corrupt"


def test_a_newer_version_is_told_from_damage(files: dict[str, bytes]) -> None:
    newer = edited(files, lambda d: d.update(version=2, surprise="new in 2"))
    with pytest.raises(InvalidInput, match="version is 2") as caught:
        decode_release(newer)
    assert caught.value.code == "release/version"


def test_a_file_that_is_no_safetensors_is_refused_even_if_it_is_pinned(
    files: dict[str, bytes],
) -> None:
    digest = hashlib.sha256(b"nonsense").hexdigest()
    pinned = edited(files, lambda d: d.update(arrays_sha256=digest))
    with pytest.raises(InvalidInput, match="not a safetensors file"):
        decode_release(pinned | {ARRAYS_FILE: b"nonsense"})


def test_what_json_cannot_hold_is_refused_on_the_way_out() -> None:
    release = ModelRelease(model="als", arrays={}, settings={"users": float("nan")})
    with pytest.raises(InvalidInput, match="not JSON"):
        encode_release(release, METADATA)
