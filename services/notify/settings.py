"""NOTIFY_* and the defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class NotifySettings(BaseSettings):
    """How and when notify sends. Durations are seconds.

    `NOTIFY_SMTP_URL` is `smtp://`, `smtps://` or `smtp+starttls://[user:password@]host[:port]`; without it mail goes
    into the Maildir `mail/` of the data folder. `NOTIFY_CHANNEL=discard` drops every mail: for load tests.
    """

    model_config = SettingsConfigDict(env_prefix="NOTIFY_", extra="ignore", frozen=True)

    smtp_url: SecretStr | None = None
    smtp_connections: Annotated[int, Field(ge=1, le=64)] = 4
    sender: Annotated[str | None, Field(validation_alias="NOTIFY_FROM")] = None
    """The address mail comes from; `noreply@` and the public host by default."""
    channel: Literal["email", "discard"] = "email"
    digest: Annotated[int, Field(ge=0, le=86_400)] = 300
    """Departments' mails are collected over windows of this length; 0: sent at once."""
    language: Literal["zh", "en"] = "zh"
    """The language departments are written to in."""
    retries: tuple[Annotated[int, Field(ge=1)], ...] = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
    """The pause after the first failed attempt, the second, …; after the last one the delivery is dead."""
