"""HTTP in and out: what staff may send, what a case looks like from outside, and the public lists."""

from services.routing.api.routes import router

__all__ = ["router"]
