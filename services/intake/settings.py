"""`INTAKE_*`."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class IntakeSettings(BaseSettings):
    """`rate`: submissions per address, as "burst/per-second", or "off"; then wrong codes are not counted either."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", extra="ignore", frozen=True)

    rate: str = "60/1"
