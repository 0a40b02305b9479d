"""`ANALYTICS_*`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AnalyticsSettings(BaseSettings):
    """`smallest`: the public sees no count of fewer cases than this. `target`: the share of answers that should come in
    time, drawn as a dotted line."""

    model_config = SettingsConfigDict(env_prefix="ANALYTICS_", extra="ignore", frozen=True)

    smallest: int = Field(default=5, ge=1)
    target: float = Field(default=0.95, ge=0, le=1)
