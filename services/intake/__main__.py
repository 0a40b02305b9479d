"""Intake alone."""

from services.intake.app import SERVICE
from shared.runtime import run

if __name__ == "__main__":
    raise SystemExit(run(SERVICE))
