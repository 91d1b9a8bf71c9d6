"""What a joined site serves: a release that it received, with its own users added.

How its own users are added is chosen on them once a release, and kept beside it: the choice, like
everything here, never leaves the site.
"""

from dataclasses import dataclass, field
from pathlib import Path

from recommons.client.releases import read_installed, served
from recommons.client.site import Site
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models.interface import ModelRelease
from recommons.common.models.release import ReleaseMetadata
from recommons.common.models.scoring import neural_scorer

__all__ = ["Joined", "is_joined", "read_joined"]

_SITE = "site.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Joined:
    """A release at a site and the site's own users.

    Attributes:
        site: The site's id.
        place: The release's folder, in which the choice is kept.
        release: The model.
        metadata: What was released with it.
        catalogue: The model's items, with their public features.
        own: The site's own users' histories, over the catalogue.
    """

    site: str
    place: Path
    release: ModelRelease
    metadata: ReleaseMetadata
    catalogue: Catalogue
    own: Interactions = field(repr=False)


def is_joined(folder: Path) -> bool:
    """Whether a folder is a site's own, and not the output of a simulation."""
    return (folder / _SITE).is_file()


def read_joined(folder: Path, name: str | None = None) -> Joined:
    """Read a release of a site's folder, by default the latest, and the site's own users.

    Args:
        folder: The site's folder.
        name: The release's, e.g. ``001``.

    Raises:
        InvalidInput: ``release/…``: there is none, or none that is sound; ``site/folder``;
            ``release/catalogue``: the site holds another catalogue than the model is over.
        DataError: The site's own events cannot be read.
    """
    found = served(folder, name)
    release, metadata = read_installed(found)
    with Site.open(folder) as site:
        if site.catalogue.item_ids != metadata.item_ids:
            raise InvalidInput(
                "release/catalogue",
                f"release {found.path.name} is over another catalogue than the one in {folder}",
            )
        # Order costs ten bytes a pair: only for models that read it.
        own = site.own_users(with_order=neural_scorer(release) is not None).interactions
        return Joined(
            site=site.id,
            place=found.path,
            release=release,
            metadata=metadata,
            catalogue=site.catalogue,
            own=own,
        )
