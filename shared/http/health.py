"""Whether the process lives, whether it is ready, and its figures."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from shared.errors import NotFound
from shared.http.access import caller
from shared.http.problems import problems
from shared.telemetry.metrics import REGISTRY

Check = Callable[[], Awaitable[str | None]]
"""None: ready. Otherwise why not, in one sentence without personal data."""

PATIENCE = 3.0
"""Seconds a check may take before it counts as not ready."""


class Readiness(BaseModel):
    """`reasons`: what is not ready → why."""

    ready: bool
    reasons: dict[str, str]


@dataclass
class Health:
    """What readiness depends on. `ending` is set at the first sign of the end; whatever streams ends then."""

    checks: dict[str, Check] = field(default_factory=dict)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stopping(self) -> bool:
        return self.ending.is_set()

    async def reasons(self) -> dict[str, str]:
        """Why the process is not ready; empty when it is."""
        if self.stopping:
            return {"process": "stopping"}
        found = {}
        for name, check in self.checks.items():
            try:
                async with asyncio.timeout(PATIENCE):
                    reason = await check()
            except Exception as error:
                reason = f"the check failed: {type(error).__name__}"
            if reason:
                found[name] = reason
        return found

    def router(self, open_metrics: bool = False) -> APIRouter:
        """`/live`, `/ready`, `/metrics`."""
        routes = APIRouter(tags=["health"])

        @routes.get("/live", response_class=PlainTextResponse)
        async def live() -> PlainTextResponse:
            """The event loop turns."""
            return PlainTextResponse("live\n")

        @routes.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}})
        async def ready() -> JSONResponse:
            """Whether new work is welcome."""
            reasons = await self.reasons()
            return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

        @routes.get("/metrics", response_class=PlainTextResponse, responses=problems(401, 404))
        async def metrics(request: Request) -> Response:
            """Prometheus text; for loopback and for the operations role."""
            if not open_metrics and not _local(request):
                principal = await caller(request)
                if principal is None or not principal.may("operate"):
                    raise NotFound()
            return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

        return routes


def operations(health: Health) -> FastAPI:
    """The same three on a port of their own, which only operators can reach: nobody is asked who they are."""
    app = FastAPI(openapi_url=None)
    app.include_router(health.router(open_metrics=True))
    return app


def _local(request: Request) -> bool:
    """Whether the client is on this machine, and no proxy on it speaks for someone else."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.scope.get("huiyin.client", "")).is_loopback
    except ValueError:
        return False
