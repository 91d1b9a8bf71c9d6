"""The part of a console that both roles share: login, logout, static files, errors, rendering.

A role gives its pages as a FastAPI router; every one of them is behind the login.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from recommons.common.console.guard import Guard
from recommons.common.console.passwords import PasswordRecord
from recommons.common.console.rendering import environment
from recommons.common.console.sessions import SESSION_SECONDS, LoginLimit, Sessions
from recommons.common.errors import RecommonsError
from recommons.common.stylesheets import STYLES

__all__ = ["LIVE_HEADER", "Access", "Console", "Link"]

LIVE_HEADER = "recommons-live"
"""What the page's own script sends when it asks whether something has changed."""

_STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, kw_only=True)
class Link:
    """An entry of the navigation."""

    path: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may come in.

    Attributes:
        record: The password, as it is kept.
        sessions: Those logged in.
        limit: How often somebody may try.
        cookie: The cookie's name; browsers do not keep the ports of one host apart, so it has the
            console's role and port in it.
        secure: The console is reached by TLS, so the cookie is sent over nothing else.
    """

    record: PasswordRecord
    sessions: Sessions
    limit: LoginLimit
    cookie: str
    secure: bool = False


class _NotLoggedIn(Exception):
    pass


class _FormRefused(Exception):
    pass


@dataclass(frozen=True, kw_only=True, eq=False)
class Console:
    """One console.

    Attributes:
        role: ``coordinator`` or ``site``.
        name: Of the federation or the site.
        links: The navigation.
        templates: The role's own templates; the shared ones lie beside this module.
        access: Who may come in.
    """

    role: str
    name: str
    links: Sequence[Link]
    templates: Path
    access: Access
    _env: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_env", environment(self.templates))

    def pages(self) -> APIRouter:
        """A router whose every route needs a login."""

        def logged_in(request: Request) -> None:
            if not self.access.sessions.holds(self._cookie(request)):
                raise _NotLoggedIn

        return APIRouter(dependencies=[Depends(logged_in)])

    def page(
        self, request: Request, template: str, context: Mapping[str, object], status: int = 200
    ) -> Response:
        """A page, or 304 where the browser's script has this very page already.

        Nothing in a page may depend on the moment at which it was asked for.
        """
        cookie = self._cookie(request) or ""
        text = self._env.get_template(template).render(
            console=self,
            path=request.url.path,
            form_token=self.access.sessions.form_token(cookie),
            **context,
        )
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        return HTMLResponse(text, status, headers={"etag": etag})

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a form that one of this console's own pages has posted."""
        fields = QueryParams((await request.body()).decode("utf-8", "replace"))
        if not self.access.sessions.form_fits(self._cookie(request), fields.get("form_token")):
            raise _FormRefused
        return fields

    def application(self, pages: APIRouter, *, names: Sequence[str] = ()) -> Guard:
        """The ASGI application.

        Args:
            pages: From `pages`, with the role's routes.
            names: Host names besides those of loopback.
        """
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.include_router(pages)
        app.include_router(self._doors())
        app.mount(
            "/static", StaticFiles(directory=_STATIC, packages=[("recommons.common", STYLES)])
        )

        @app.exception_handler(_NotLoggedIn)
        def to_login(request: Request, _error: Exception) -> Response:
            if LIVE_HEADER in request.headers:
                return PlainTextResponse("log in\n", 401)
            return RedirectResponse("/login", 303)

        @app.exception_handler(_FormRefused)
        def form_refused(request: Request, _error: Exception) -> Response:
            return self._error(request, 403, "console/form", "the form is not from this session")

        @app.exception_handler(RecommonsError)
        def named(request: Request, error: RecommonsError) -> Response:
            return self._error(request, 503, error.code, error.message)

        @app.exception_handler(OSError)
        def refused(request: Request, error: OSError) -> Response:
            said = error.strerror or type(error).__name__
            return self._error(request, 503, "command/system", said)

        @app.exception_handler(HTTPException)
        def unknown(request: Request, error: HTTPException) -> Response:
            return self._error(request, error.status_code, None, "there is no such page")

        @app.exception_handler(Exception)
        def fault(request: Request, error: Exception) -> Response:
            # Its text may hold data: only its kind is told.
            return self._error(request, 500, "command/fault", type(error).__name__)

        return Guard(app, names=names)

    def _error(self, request: Request, status: int, code: str | None, message: str) -> Response:
        inside = self.access.sessions.holds(self._cookie(request))
        context = {"code": code, "message": message, "inside": inside}
        return self.page(request, "error.html.j2", context, status)

    def _cookie(self, request: Request) -> str | None:
        return request.cookies.get(self.access.cookie)

    def _doors(self) -> APIRouter:
        doors = APIRouter()

        @doors.get("/login")
        def login(request: Request) -> Response:
            return self._login_page(request, None)

        @doors.post("/login")
        async def log_in(request: Request) -> Response:
            fields = await self.form(request)
            wait = self.access.limit.try_again_in()
            if wait:
                answer = self._login_page(request, "limit", 429)
                answer.headers["retry-after"] = str(int(wait) + 1)
                return answer
            if not await run_in_threadpool(self.access.record.fits, fields.get("password", "")):
                return self._login_page(request, "wrong", 403)
            # A new cookie: one that somebody planted before the login opens nothing.
            answer = RedirectResponse("/", 303)
            self._set_cookie(answer, self.access.sessions.open())
            return answer

        @doors.post("/logout")
        async def log_out(request: Request) -> Response:
            await self.form(request)
            self.access.sessions.close(self._cookie(request))
            answer = RedirectResponse("/login", 303)
            answer.delete_cookie(self.access.cookie, path="/", httponly=True, samesite="strict")
            return answer

        return doors

    def _login_page(self, request: Request, fault: str | None, status: int = 200) -> Response:
        cookie = self._cookie(request) or self.access.sessions.fresh()
        text = self._env.get_template("login.html.j2").render(
            console=self,
            path="/login",
            fault=fault,
            form_token=self.access.sessions.form_token(cookie),
        )
        answer = HTMLResponse(text, status)
        self._set_cookie(answer, cookie)
        return answer

    def _set_cookie(self, answer: Response, cookie: str) -> None:
        answer.set_cookie(
            self.access.cookie,
            cookie,
            max_age=SESSION_SECONDS,
            path="/",
            secure=self.access.secure,
            httponly=True,
            samesite="strict",
        )
