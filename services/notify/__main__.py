"""Notify alone: `python -m services.notify`."""

from services.notify.app import SERVICE
from shared.runtime import run

if __name__ == "__main__":
    run(SERVICE)
