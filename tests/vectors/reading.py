"""The committed files, read."""

import functools
from typing import TypeVar

from pydantic import BaseModel

from tests.vectors import models
from tests.vectors.generate import FOLDER

__all__ = ["load", "of", "rejections", "transcripts"]

T = TypeVar("T", bound=BaseModel)
of = bytes.fromhex


@functools.cache
def load(name: str, model: type[T]) -> T:
    """One file."""
    return model.model_validate_json((FOLDER / f"{name}.json").read_bytes())


@functools.cache
def transcripts() -> dict[str, models.Transcript]:
    """Every transcript by its name."""
    files = [load(f"transcripts-{n}", models.Transcripts) for n in (3, 5, 10)]
    return {t.name: t for file in files for t in file.transcripts}


def rejections() -> list[models.Rejection]:
    """Every message that must be refused."""
    return list(load("rejected", models.Rejected).cases)
