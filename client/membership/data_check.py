"""Whether the site's data can be read: the parts of `recommons site check` that look at them."""

from pathlib import Path

from recommons.client.membership.findings import Finding
from recommons.client.site import SiteConfig
from recommons.client.sources.looking import NOT_COMPARED, check_bad_rows, look_at
from recommons.client.sources.settings import DATA, read_settings
from recommons.client.sources.usable import check_users
from recommons.common.codes import REMEDIES
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.errors import DataError
from recommons.common.units import counted

__all__ = ["catalogue_findings", "data_findings", "rounded_users"]


def data_findings(folder: Path, *, joining: bool = False) -> list[Finding]:
    """Look at the data; counts are for the site's own operator and go nowhere.

    Args:
        folder: The site's folder.
        joining: Data without a user are no fault yet.
    """
    config = SiteConfig.read(folder)
    if not (folder / DATA).exists() and not (folder / config.events).exists():
        return [
            Finding(
                what="data",
                ok=None,
                said=f"neither {DATA} nor {config.events} is there yet",
                remedy="Say in data.toml where the site's events are before the first run; "
                "docs/site-guide.md says how.",
            )
        ]
    catalogue = _sound_catalogue(folder / config.catalogue)
    try:
        settings = read_settings(folder, config.events)
        look = look_at(folder, settings, catalogue)
        check_bad_rows(look, settings)
        check_users(look.users, look.left_out | look.bad, look.usable, catalogue)
    except DataError as error:
        # This is shown to the site's own operator alone.
        ok = None if joining and error.code == "data/no-users" else False
        return [Finding(what="data", ok=ok, said=error.message, remedy=error.remedy)]
    said = f"{look.kind} is read: {look}; {look.usable or NOT_COMPARED}"
    if look.bad_rows:
        said += f"; {look.bad_rows:,} cannot be read and are left out, first {look.first_bad}"
    warning = look.usable and look.usable.warning
    if warning:
        remedy = REMEDIES["data/no-users"]
        return [Finding(what="data", ok=None, said=f"{said}; {warning}", remedy=remedy)]
    return [Finding(what="data", ok=True, said=said)]


def _sound_catalogue(path: Path) -> Catalogue | None:
    try:
        return catalogue_from_bytes(path.read_bytes())
    except (OSError, DataError):
        return None  # which is a finding of its own


def catalogue_findings(folder: Path) -> list[Finding]:
    """Whether the public catalogue is there and sound; a site may join before it is."""
    name = SiteConfig.read(folder).catalogue
    try:
        found = catalogue_from_bytes((folder / name).read_bytes())
    except FileNotFoundError:
        remedy = (
            "The agent fetches it where the coordinator offers one; or put it there yourself: the "
            "federation's operator has it, and every site the same."
        )
        said = f"{name} is not there yet"
        return [Finding(what="catalogue", ok=None, said=said, remedy=remedy)]
    except OSError as error:
        said, remedy = f"{name} cannot be read: {type(error).__name__}", REMEDIES["site/catalogue"]
        return [Finding(what="catalogue", ok=False, said=said, remedy=remedy)]
    except DataError as error:
        return [Finding(what="catalogue", ok=False, said=error.message, remedy=error.remedy)]
    return [Finding(what="catalogue", ok=True, said=f"{name} has {counted(len(found), 'item')}")]


def rounded_users(folder: Path, events: str) -> int | None:
    """The number of users in the data, to one digit and a half: what a site may declare.

    Rounded, because the federation learns it: 1234 and 1249 are both 1200.

    Args:
        folder: The site's folder.
        events: The file of events, where there is no `data.toml`.

    Returns:
        None where neither is there.

    Raises:
        DataError: The data cannot be read.
    """
    if not (folder / DATA).exists() and not (folder / events).exists():
        return None
    exact = look_at(folder, read_settings(folder, events)).users
    step = int(10 ** max(0, len(str(exact)) - 2))
    return max(1, round(exact / step) * step)
