"""Mail through a relay by SMTP. The relay may get a letter twice, under one Message-ID, but only where its answer to
the first was lost: it timed out, or the process died before the answer was written down.

Addresses under the reserved example domains belong to nobody; such letters are refused here (`reserved-address`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notify.channels.channel import Letter, Stationery
from services.notify.domain import Failed, Outcome, Refused, Sent, Untried
from shared.clock import Clock
from shared.errors import Misconfigured

CONNECT = 5.0
OPERATION = 15.0
WHOLE = 20.0
"""Time limits in seconds: reaching the relay, one command, one letter."""

IDLE = 30.0
"""How long a connection may lie unused and still be trusted."""

RESERVED = ("example.org", "example.com", "example.net", "example", "invalid")

PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


@dataclass(frozen=True)
class Relay:
    """Where to, and how. `tls` is `none`, `from-start` or `starttls`, by the URL's scheme."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)

    @classmethod
    def at(cls, url: str) -> Relay:
        """Read `NOTIFY_SMTP_URL`. Raises `Misconfigured`, without repeating the password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Misconfigured("NOTIFY_SMTP_URL: the host or port cannot be read") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise Misconfigured(
                f"NOTIFY_SMTP_URL: should be one of {', '.join(PORTS)}, then ://[user:password@]host[:port]"
            )
        user, password = (unquote(word) if word else None for word in (parts.username, parts.password))
        return cls(parts.scheme, parts.hostname, port or PORTS[parts.scheme], user, password)


class SmtpChannel:
    """A few connections to one relay, kept open between letters."""

    repeatable = False

    def __init__(self, relay: Relay, stationery: Stationery, clock: Clock, connections: int) -> None:
        self._relay = relay
        self._stationery = stationery
        self._clock = clock
        self._connections = connections
        self._idle: list[tuple[float, aiosmtplib.SMTP]] = []

    async def submit(self, letters: Sequence[Letter], begin_by: float) -> list[Outcome]:
        outcomes: list[Outcome] = [Untried()] * len(letters)
        waiting = iter(list(enumerate(letters)))
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._connections, len(letters))):
                workers.create_task(self._work(waiting, outcomes, begin_by))
        return outcomes

    async def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    async def _work(self, waiting: Iterator[tuple[int, Letter]], outcomes: list[Outcome], begin_by: float) -> None:
        """Send letter after letter over one connection. A relay that cannot be reached fails all that still wait."""
        client = self._trusted()
        try:
            for place, letter in waiting:
                if self._clock.monotonic() >= begin_by:
                    return
                if _reserved(letter.to):
                    outcomes[place] = Refused("reserved-address")
                    continue
                if not client.is_connected and not await self._connected(client):
                    outcomes[place] = Failed("connection")
                    for place, _ in waiting:
                        outcomes[place] = Failed("connection")
                    return
                outcomes[place] = await self._send(client, letter)
        finally:
            if client.is_connected:
                self._idle.append((self._clock.monotonic(), client))

    def _trusted(self) -> aiosmtplib.SMTP:
        while self._idle:
            used, client = self._idle.pop()
            if client.is_connected and self._clock.monotonic() - used < IDLE:
                return client
            client.close()
        relay = self._relay
        return aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.user,
            password=relay.password,
            local_hostname=self._stationery.host,
            timeout=OPERATION,
            use_tls=relay.scheme == "smtps",
            start_tls=relay.scheme == "smtp+starttls",
        )

    async def _connected(self, client: aiosmtplib.SMTP) -> bool:
        try:
            async with asyncio.timeout(CONNECT):
                await client.connect()
        except (aiosmtplib.SMTPException, OSError):
            client.close()
            return False
        return True

    async def _send(self, client: aiosmtplib.SMTP, letter: Letter) -> Outcome:
        try:
            content = self._stationery.message(letter).as_bytes()
            async with asyncio.timeout(WHOLE):
                await client.sendmail(self._stationery.sender, letter.to, content)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _judged(error.recipients[0].code, "recipient-refused")
        except aiosmtplib.SMTPDataError as error:
            return _judged(error.code, "message-refused")
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            return Failed(f"smtp-{error.code}")
        except TimeoutError:
            client.close()
            return Failed("timeout")
        except (aiosmtplib.SMTPException, OSError):
            client.close()
            return Failed("connection")
        except ValueError:
            return Refused("address")
        return Sent(self._clock.now())


def _reserved(address: str) -> bool:
    domain = address.rpartition("@")[2].lower()
    return any(domain == name or domain.endswith(f".{name}") for name in RESERVED)


def _judged(code: int, reason: str) -> Outcome:
    return Refused(reason) if code >= 500 else Failed(reason)
