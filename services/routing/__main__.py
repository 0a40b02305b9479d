"""Routing alone: `python -m services.routing`."""

from services.routing.app import SERVICE
from shared.runtime import run

if __name__ == "__main__":
    run(SERVICE)
