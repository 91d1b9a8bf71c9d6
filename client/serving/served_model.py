"""A model opened for recommending: the federation's, or the same with one site's own data.

What a site's recommendations show its own users about its other users lies outside the
federation's guarantee (the threat model says so); the global model alone lies inside it.
"""

import difflib
import functools
import json
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommons.client.serving.joined import Joined, is_joined, read_joined
from recommons.client.serving.recommending import Recommender
from recommons.client.serving.release_files import read_release
from recommons.client.sources import read_histories
from recommons.client.sources.own import OwnSource
from recommons.client.sources.settings import DATA, CacheSettings, read_settings
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.data.interactions import Interactions
from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.models.interface import ModelRelease
from recommons.common.models.release import ReleaseMetadata
from recommons.common.models.scoring import GlobalModel, Scorer
from recommons.common.models.site import SiteChoice, SiteModels, fit_site

__all__ = ["ServedModel", "SiteData", "load_site", "open_model", "read_choice", "write_choice"]

_EVENTS, _SERVING, _CATALOGUE = "events.parquet", "serving.json", "coordinator/catalogue.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedModel:
    """A model ready to recommend.

    Attributes:
        name: The model's name, e.g. ``als``.
        metadata: What was released with it.
        recommender: It, over its catalogue.
        site: The site whose data it includes; None for the global model.
        choice: How they are added, once it is made; None for the global model.
    """

    name: str
    metadata: ReleaseMetadata
    recommender: Recommender
    site: str | None
    choice: Callable[[], SiteChoice | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteData:
    """What a site adds to the global model.

    Attributes:
        interactions: Its own users' histories, over the model's catalogue.
        choice: What it chose on its own users; never sent.
    """

    interactions: Interactions = field(repr=False)
    choice: SiteChoice


def open_model(folder: Path, *, site: str | None = None, release: str | None = None) -> ServedModel:
    """Open the model that a run left. It is made ready to score, in seconds, at its first use.

    Args:
        folder: Output of a run, or a joined site's own folder, whose data are added always.
        site: Add this site's own data, as it does to serve its users.
        release: Of a joined site's releases, the one of this name rather than the latest.

    Raises:
        InvalidInput: There is no sound model, or no such site.
        DataError: The site's own events cannot be read.
    """
    if is_joined(folder):
        return _of_joined(read_joined(folder, release), site)
    if release is not None:
        raise InvalidInput(
            "release/missing", f"release is {release!r}; {folder} is a run, whose model is one"
        )
    model, metadata = read_release(folder / "model")
    catalogue = Catalogue(
        item_ids=metadata.item_ids,
        titles=metadata.titles,
        inferred=metadata.catalogue_assumed_public,
    )
    catalogue = _with_features(catalogue, folder / _CATALOGUE)
    own = None if site is None else load_site(folder, site, catalogue)
    shared = GlobalModel(release=model)

    @functools.cache
    def scorer() -> Scorer:
        if own is None:
            return shared.scorer
        return fit_site(shared, own.interactions, seed=0, choice=own.choice).served

    chosen = None if own is None else own.choice
    return _served(model, metadata, catalogue, scorer, site, lambda: chosen)


def _of_joined(found: Joined, site: str | None) -> ServedModel:
    """A site's own folder: what it chose for this release is kept beside the release."""
    if site not in (None, found.site):
        raise InvalidInput(
            "recommend/unknown-site", f"site is {site!r}; required: {found.site}, or none"
        )
    kept = found.place / _SERVING

    @functools.cache
    def models() -> SiteModels:
        choice = read_choice(kept) if kept.exists() else None
        fitted = fit_site(GlobalModel(release=found.release), found.own, seed=0, choice=choice)
        if choice is None:
            write_choice(found.place, fitted.choice)
        return fitted

    return _served(
        found.release,
        found.metadata,
        found.catalogue,
        lambda: models().served,
        found.site,
        lambda: models().choice,
    )


def _served(
    release: ModelRelease,
    metadata: ReleaseMetadata,
    catalogue: Catalogue,
    scorer: Callable[[], Scorer],
    site: str | None,
    choice: Callable[[], SiteChoice | None],
) -> ServedModel:
    def score(users: Interactions) -> npt.NDArray[np.float32]:
        return scorer().score(users)

    return ServedModel(
        name=release.model,
        metadata=metadata,
        recommender=Recommender(
            catalogue=catalogue,
            score=score,
            counts=np.asarray(release.arrays["counts"], np.float64),
        ),
        site=site,
        choice=choice,
    )


def _with_features(catalogue: Catalogue, path: Path) -> Catalogue:
    """The catalogue with its public columns, where the run's own document is at hand.

    Labels and texts are what interests are chosen from; a model's document has titles alone.
    """
    if not path.is_file():
        return catalogue
    whole = catalogue_from_bytes(path.read_bytes())
    return whole if whole.item_ids == catalogue.item_ids else catalogue


def load_site(folder: Path, name: str, catalogue: Catalogue) -> SiteData:
    """Read what a site adds to the model: its own events and what it chose for its own scores.

    Args:
        folder: Output of a run.
        name: Of the site.
        catalogue: The model's items.

    Raises:
        InvalidInput: There is no such site, or it has not chosen how to serve.
        DataError: Its events cannot be read.
    """
    sites = folder / "sites"
    known = sorted(path.parent.name for path in sites.glob(f"*/{_SERVING}"))
    # Compared with the folders that are there, so that no name can lead out of them.
    if name not in known:
        near = difflib.get_close_matches(name, known) or known[:5]
        required = f"one of {', '.join(near)}" if near else "a run whose sites have chosen"
        raise InvalidInput(
            "recommend/unknown-site", f"site is {name!r}; required: {required}, in {sites}"
        )
    choice = read_choice(sites / name / _SERVING)
    return SiteData(interactions=_own_events(sites / name, catalogue), choice=choice)


def _own_events(site: Path, catalogue: Catalogue) -> Interactions:
    """A site's events, from where its `data.toml` says; nothing is left in its folder."""
    if not (site / DATA).exists():
        return read_histories(site / _EVENTS, catalogue, with_order=True).interactions
    settings = read_settings(site, _EVENTS)
    with tempfile.TemporaryDirectory(prefix="recommons-events-") as place:
        source = OwnSource(
            folder=site,
            settings=settings.model_copy(update={"cache": CacheSettings(folder=place)}),
            catalogue=catalogue,
            secret=secrets.token_bytes(32),
        )
        return source.read_anew(with_order=True).interactions  # mapped, and so still there


def write_choice(place: Path, choice: SiteChoice) -> None:
    """Keep in a folder what a site chose for its own scores; it is there whole or not at all."""
    write_durably(place / _SERVING, json.dumps(asdict(choice), indent=2).encode() + b"\n")


def read_choice(path: Path) -> SiteChoice:
    """Read what `write_choice` wrote.

    Raises:
        InvalidInput: It is something else.
    """
    try:
        values = json.loads(path.read_bytes())
        names = {name.name for name in fields(SiteChoice)}
        sound = values.keys() == names and all(
            type(value) in (int, float) and 0 <= value < float("inf") for value in values.values()
        )
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        raise InvalidInput("site/folder", f"{path} is not what a site chose for its own scores")
    return SiteChoice(**{name: float(value) for name, value in values.items()})
