"""The desk: pages for the people who answer."""

from __future__ import annotations

from fastapi import APIRouter

from services.routing.domain.organisation import Organisation
from services.routing.handlers import Desk
from services.routing.pages import case, queue
from services.routing.pages.frame import Frame
from services.routing.store import Cases
from shared.clock import Clock


def router(cases: Cases, desk: Desk, organisation: Organisation, clock: Clock) -> APIRouter:
    """Everything under `/desk`."""
    frame, routes = Frame(organisation), APIRouter(include_in_schema=False)
    routes.include_router(queue.router(cases, desk, frame))
    routes.include_router(case.router(cases, desk, frame, clock))
    return routes
