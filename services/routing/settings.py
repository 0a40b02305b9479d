"""Settings of routing."""

from __future__ import annotations

from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "samples" / "organisation.yaml"
"""The imaginary town's organisation file: what is used where `HUIYIN_ORGANISATION` names none."""
