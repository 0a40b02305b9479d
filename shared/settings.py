"""Settings of the platform, read once from the environment by `shared.runtime` and passed on. No module-level instance."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import Misconfigured

KAFKA = re.compile(r"kafka://[A-Za-z0-9._-]+:[0-9]{1,5}(,[A-Za-z0-9._-]+:[0-9]{1,5})*")


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
    kafka_url: str | None = None
    """Where the log is, `kafka://host:port[,host:port…]`; set together with `mongo_url`: then the mode is distributed."""
    mongo_url: SecretStr | None = None
    mongo_driver: Literal["motor", "pymongo"] = "motor"
    namespace: Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,37}$")] = "huiyin"
    """What the topic, the groups and the databases of this installation begin with, on servers that others use too."""
    instance: Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,200}$")] | None = None
    """A name that this process, and no other, has in every life of it, such as its pod's."""
    operations_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where probes and metrics are answered; distributed processes have one, a thousand above their public port."""

    @field_validator("kafka_url")
    @classmethod
    def _brokers(cls, url: str | None) -> str | None:
        if url is not None and not KAFKA.fullmatch(url):
            raise ValueError("should be kafka://host:port[,host:port…]")
        return url

    @model_validator(mode="after")
    def _both_or_neither(self) -> PlatformSettings:
        if (self.kafka_url is None) != (self.mongo_url is None):
            missing = "HUIYIN_MONGO_URL" if self.mongo_url is None else "HUIYIN_KAFKA_URL"
            raise Misconfigured(f"{missing}: must be set too, where the other server is")
        return self

    @property
    def distributed(self) -> bool:
        """Whether several processes share servers, or one process has files."""
        return self.kafka_url is not None

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
    told = first["msg"].lower().removeprefix("value error, ")
    return f"{prefix}_{str(first['loc'][0]).upper()}: {told}"
