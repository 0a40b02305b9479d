"""Settings of the platform, read once from the environment by `shared.runtime` and passed on. No module-level instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import Misconfigured


class PlatformSettings(BaseSettings):
    """`HUIYIN_*`. Paths are relative to the working directory."""

    model_config = SettingsConfigDict(env_prefix="HUIYIN_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str | None = None
    trusted_proxies: Annotated[int, Field(ge=0, le=10)] = 0
    connections: Annotated[int, Field(ge=1, le=2000)] = 500
    """How many connections one address may have at once; behind trusted proxies that is theirs to limit."""
    drain: Annotated[float, Field(ge=0, le=15)] = 0
    """Seconds between "not ready" and the port's closing at the end, for a balancer to look away in."""
    reserve: Annotated[int, Field(ge=0, le=65536)] = 64
    """MiB of the disk kept back for what must be written even when it is full."""
    data: Path = Path("data")
    keys: Path | None = None
    organisation: Path | None = None
    log: Literal["json", "text"] = "json"
    sample: Literal["on", "off"] = "off"

    @property
    def keys_folder(self) -> Path:
        """Where key files live: `HUIYIN_KEYS`, or `keys/` in the data folder."""
        return self.keys or self.data / "keys"

    @property
    def link_base(self) -> str:
        """The address citizens use, without a trailing slash; links are built from it, never from a Host header."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def read_settings() -> PlatformSettings:
    """`HUIYIN_*`. Raises `Misconfigured` naming the variable."""
    try:
        return PlatformSettings()
    except ValidationError as error:
        raise Misconfigured(wrong_setting(error)) from None


def wrong_setting(error: ValidationError) -> str:
    """One line about the first setting that cannot be used; never its value, which may be a secret."""
    first = error.errors()[0]
    prefix = error.title.removesuffix("Settings").upper().replace("PLATFORM", "HUIYIN")
    return f"{prefix}_{str(first['loc'][0]).upper()}: {first['msg'].lower()}"
