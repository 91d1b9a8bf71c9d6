"""Whether the site's data can be read: the parts of `recommons site check` that look at them."""

from pathlib import Path

from recommons.client.membership.findings import Finding
from recommons.client.site import SiteConfig
from recommons.client.sources.looking import check_bad_rows, look_at
from recommons.client.sources.settings import DATA, read_settings
from recommons.common.errors import DataError

__all__ = ["catalogue_findings", "data_findings", "rounded_users"]


def data_findings(folder: Path) -> list[Finding]:
    """Look at the data; counts are for the site's own operator and go nowhere."""
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
    try:
        settings = read_settings(folder, config.events)
        look = look_at(folder, settings)
        check_bad_rows(look, settings)
    except DataError as error:
        # This is shown to the site's own operator alone.
        return [Finding(what="data", ok=False, said=error.message, remedy=error.remedy)]
    said = f"{look.kind} is read: {look.users:,} users, {look.rows:,} events"
    if look.bad_rows:
        said += f"; {look.bad_rows:,} cannot be read and are left out, first {look.first_bad}"
    return [Finding(what="data", ok=True, said=said)]


def catalogue_findings(folder: Path) -> list[Finding]:
    """Whether the public catalogue is there; a site may join before it is."""
    config = SiteConfig.read(folder)
    if (folder / config.catalogue).exists():
        return []
    return [
        Finding(
            what="catalogue",
            ok=None,
            said=f"{config.catalogue} is not there yet",
            remedy="Put the federation's catalogue there before the first run: its operator has "
            "it, and every site the same.",
        )
    ]


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
