"""The coordinator's pages. They only read; nothing about the federation can be changed here."""

from pathlib import Path

from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from recommons.common.console.application import Access, Console, Link
from recommons.common.console.guard import Guard
from recommons.server.console.connections import Connections
from recommons.server.console.reading import CoordinatorReader, Overview, RunSeen
from recommons.server.console.views import charts_of, now_sentence, present_sites, refusals_of
from recommons.server.rounds.progress import STEPS

__all__ = ["coordinator_console"]

_LINKS = (
    Link(path="/", title="Rounds"),
    Link(path="/runs", title="Runs"),
    Link(path="/sites", title="Sites"),
    Link(path="/releases", title="Releases"),
    Link(path="/refusals", title="Refusals"),
)


def coordinator_console(
    reader: CoordinatorReader,
    connections: Connections,
    access: Access,
    *,
    names: tuple[str, ...] = (),
) -> Guard:
    """The console as an ASGI application.

    Args:
        reader: Over the coordinator's files.
        connections: Who is connected.
        access: Who may come in.
        names: Host names besides those of loopback.
    """
    console = Console(
        role="coordinator",
        name=reader.read().federation,
        links=_LINKS,
        templates=Path(__file__).parent / "templates",
        access=access,
    )
    pages = console.pages()

    @pages.get("/")
    def overview(request: Request) -> Response:
        state = reader.read()
        seen = state.runs[0] if state.runs else None
        present, absent = present_sites(seen) if seen else ([], [])
        return console.page(
            request,
            "overview.html.j2",
            {
                "state": state,
                "seen": seen,
                "steps": STEPS,
                "sentence": now_sentence(state),
                "present": present,
                "absent": absent,
                "charts": charts_of(seen) if seen else [],
            },
        )

    @pages.get("/runs")
    def runs(request: Request) -> Response:
        return console.page(request, "runs.html.j2", {"state": reader.read()})

    @pages.get("/runs/{run_id}")
    def run(request: Request, run_id: str) -> Response:
        seen = _found(reader.read(), run_id)
        return console.page(request, "run.html.j2", {"seen": seen, "charts": charts_of(seen)})

    @pages.get("/sites")
    def sites(request: Request) -> Response:
        context = {"state": reader.read(), "connected": connections.known()}
        return console.page(request, "sites.html.j2", context)

    @pages.get("/releases")
    def releases(request: Request) -> Response:
        state = reader.read()
        released = [seen for seen in state.runs if seen.run.model is not None]
        context = {"released": released, "notes": {note.run: note for note in state.releases}}
        return console.page(request, "releases.html.j2", context)

    @pages.get("/refusals")
    def refusals(request: Request) -> Response:
        return console.page(request, "refusals.html.j2", {"found": refusals_of(reader.read())})

    return console.application(pages, names=names)


def _found(state: Overview, run_id: str) -> RunSeen:
    for seen in state.runs:
        if seen.run.id == run_id:
            return seen
    raise HTTPException(404)
