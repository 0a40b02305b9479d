"""Settings of the platform, read once from the environment by `shared.runtime` and passed on. No module-level instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PlatformSettings(BaseSettings):
    """`HUIYIN_*`. Paths are relative to the working directory."""

    model_config = SettingsConfigDict(env_prefix="HUIYIN_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str | None = None
    trusted_proxies: Annotated[int, Field(ge=0, le=10)] = 0
    data: Path = Path("data")
    keys: Path | None = None
    organisation: Path | None = None
    log: Literal["json", "text"] = "json"

    @property
    def keys_folder(self) -> Path:
        """Where key files live: `HUIYIN_KEYS`, or `keys/` in the data folder."""
        return self.keys or self.data / "keys"

    @property
    def link_base(self) -> str:
        """The address citizens use, without a trailing slash; links are built from it, never from a Host header."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")
