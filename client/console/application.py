"""The site's pages. They read; what can be done here is to pause the site and to let it go on."""

from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from recommons.client.console.reading import SiteReader
from recommons.client.console.views import (
    bytes_chart,
    current_run,
    epsilon_chart,
    kind_name,
    kinds_of,
    now_sentence,
)
from recommons.client.operating.pausing import pause, resume
from recommons.client.site import Site
from recommons.common.console.application import Access, Console, Link
from recommons.common.console.guard import Guard

__all__ = ["site_console"]

_LINKS = (
    Link(path="/", title="Now"),
    Link(path="/rounds", title="Rounds"),
    Link(path="/outbound", title="What left"),
    Link(path="/budget", title="Budget"),
    Link(path="/releases", title="Models"),
    Link(path="/refusals", title="Refusals"),
)


def site_console(reader: SiteReader, access: Access, *, names: tuple[str, ...] = ()) -> Guard:
    """The console as an ASGI application.

    Args:
        reader: Over the site's folder.
        access: Who may come in.
        names: Host names besides those of loopback.
    """
    console = Console(
        role="site",
        name=reader.site_id(),
        links=_LINKS,
        templates=Path(__file__).parent / "templates",
        access=access,
    )
    pages = console.pages()

    @pages.get("/")
    def now(request: Request) -> Response:
        seen = reader.read()
        return console.page(
            request,
            "now.html.j2",
            {
                "seen": seen,
                "run": current_run(seen),
                "sentence": now_sentence(seen),
                "chart": bytes_chart(seen.messages),
            },
        )

    @pages.get("/rounds")
    def rounds(request: Request) -> Response:
        seen = reader.read()
        context = {"seen": seen, "chart": epsilon_chart(seen)}
        return console.page(request, "rounds.html.j2", context)

    @pages.get("/outbound")
    def outbound(request: Request) -> Response:
        seen = reader.read()
        context = {
            "seen": seen,
            "kinds": kinds_of(seen.messages),
            "kind_name": kind_name,
            "chart": bytes_chart(seen.messages),
        }
        return console.page(request, "outbound.html.j2", context)

    @pages.get("/budget")
    def budget(request: Request) -> Response:
        return console.page(request, "budget.html.j2", {"seen": reader.read()})

    @pages.get("/releases")
    def releases(request: Request) -> Response:
        return console.page(request, "models.html.j2", {"seen": reader.read()})

    @pages.get("/refusals")
    def refusals(request: Request) -> Response:
        return console.page(request, "refusals.html.j2", {"seen": reader.read()})

    @pages.post("/pause")
    async def pause_site(request: Request) -> Response:
        await console.form(request)
        await run_in_threadpool(_pause, reader.folder)
        return RedirectResponse("/", 303)

    @pages.post("/resume")
    async def resume_site(request: Request) -> Response:
        await console.form(request)
        await run_in_threadpool(_resume, reader.folder)
        return RedirectResponse("/", 303)

    return console.application(pages, names=names)


def _pause(folder: Path) -> None:
    with Site.open(folder) as site:
        pause(site, "from the console")


def _resume(folder: Path) -> None:
    with Site.open(folder) as site:
        resume(site)
