"""Mail through a relay: a real SMTP conversation with a server that misbehaves as told, and keeps a ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from services.notify.channels import channel, smtp
from services.notify.channels.channel import Letter
from services.notify.channels.smtp import Relay, SmtpChannel
from services.notify.domain import LEASE, Failed, Refused, Sent, Untried
from shared.errors import Misconfigured
from tests.support.notify import Killed, Office, opened, plain, read_mail


class Server:
    """Accepts and writes down every mail, unless `answers` holds something else to say, in order.

    An answer is the reply to a step: `rcpt 550 …`, `data 451 …`; `hang` accepts the mail and never says so;
    `drop` accepts it and closes the connection.
    """

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.answers: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.connections = 0

    def _says(self, step: str) -> str | None:
        if self.answers and self.answers[0].startswith(step):
            return self.answers.pop(0).removeprefix(step).strip()
        return None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (refusal := self._says("rcpt")) is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if (refusal := self._says("data")) is not None:
            return refusal
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        self.recipients += envelope.rcpt_tos
        if self._says("hang") is not None:
            await asyncio.sleep(30)
        if self._says("drop") is not None and server.transport:
            server.transport.close()
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=True)

    def ids(self) -> Counter[str]:
        return Counter(str(read_mail(mail)["Message-ID"]).strip() for mail in self.mails)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()

    def connected() -> SMTP:
        server.connections += 1
        return SMTP(server, authenticator=server.authenticate, auth_require_tls=False, hostname="relay.test")

    listening = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
async def way_out(office: Office, server: Server) -> AsyncIterator[SmtpChannel]:
    way_out = to(office, server)
    office.sending(way_out)
    yield way_out
    await way_out.close()


def to(office: Office, server: Server, user: str = "") -> SmtpChannel:
    relay = Relay.at(f"smtp://{user}127.0.0.1:{server.port}")
    return SmtpChannel(relay, office.stationery, office.clock, connections=2)


def letters(*to: str) -> list[Letter]:
    return [Letter(f"case-{n}", address, "Subject", "Words\n", "h", "en") for n, address in enumerate(to)]


async def test_an_answer_reaches_the_citizen_through_the_relay(
    office: Office, server: Server, way_out: SmtpChannel
) -> None:
    case = await office.receive(language="zh")
    await office.answer(case, "路灯已修好。\n.\n" + "长" * 600)
    await office.settle()
    assert server.recipients == ["wang@home.test"] * 2
    answer = next(mail for mail in map(read_mail, server.mails) if "答复" in mail["Subject"])
    assert "路灯已修好。\n.\n" + "长" * 600 in plain(answer).replace("\r\n", "\n")
    assert {delivery.progress.state for delivery in await office.of(case)} == {"sent"}


async def test_connections_are_kept_open_between_letters(office: Office, server: Server, way_out: SmtpChannel) -> None:
    for _ in range(3):
        outcomes = await way_out.submit(letters(*["wang@home.test"] * 10), 20.0)
        assert outcomes == [Sent(office.clock.now())] * 10
    assert server.connections == 2
    assert len(server.mails) == 30


async def test_user_and_password_of_the_url_are_used(office: Office, server: Server) -> None:
    way_out = to(office, server, "huiyin:p%40ss@")
    assert await way_out.submit(letters("wang@home.test"), 20.0) == [Sent(office.clock.now())]
    assert server.logins == [(b"huiyin", b"p@ss")]
    await way_out.close()


async def test_a_recipient_refused_for_good_is_dead(office: Office, server: Server, way_out: SmtpChannel) -> None:
    case = await office.receive()
    server.answers = ["rcpt 550 no such user"]
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.reason) == ("dead", "recipient-refused")
    assert await office.emitted() == [f"delivery.dead {delivery.id}"]


async def test_one_refused_letter_does_not_stop_the_others(
    office: Office, server: Server, way_out: SmtpChannel
) -> None:
    server.answers = ["rcpt 550 no such user"]
    outcomes = await way_out.submit(letters(*["wang@home.test"] * 4), 20.0)
    assert Counter(outcomes) == Counter({Sent(office.clock.now()): 3, Refused("recipient-refused"): 1})


@pytest.mark.parametrize("answer", ["rcpt 451 try later", "data 452 full", "data 421 closing"])
async def test_a_passing_refusal_comes_again_on_the_schedule(
    office: Office, server: Server, way_out: SmtpChannel, answer: str
) -> None:
    case = await office.receive()
    server.answers = [answer, answer]
    attempts = []
    for pause in (0, 4, 1, 299, 1):
        office.clock.advance(pause)
        await office.settle()
        (delivery,) = await office.of(case)
        attempts.append((delivery.progress.state, delivery.progress.attempts))
    assert attempts == [("failed", 1), ("failed", 1), ("failed", 2), ("failed", 2), ("sent", 3)]
    assert set(server.ids().values()) == {1}


@pytest.mark.row("F40")
@pytest.mark.row("I9")
@pytest.mark.parametrize("answer", ["hang", "drop"])
async def test_when_the_relays_yes_is_lost_the_same_message_id_goes_out_once_more(
    office: Office, server: Server, way_out: SmtpChannel, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "WHOLE", 0.3)
    case = await office.receive()
    server.answers = [answer]
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.attempts) == ("failed", 1)
    office.clock.advance(5)
    await office.settle()
    assert server.ids() == Counter({f"<{delivery.id}@town.test>": 2})
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.attempts) == ("sent", 2)


@pytest.mark.parametrize(("point", "mails"), [("notify.before-submit", 1), ("notify.after-submit", 2)])
async def test_a_mail_goes_twice_only_if_the_process_died_before_the_outcome_was_written(
    office: Office, server: Server, way_out: SmtpChannel, point: str, mails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await office.receive()

    def die(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(channel, "failpoint", die)
        with pytest.raises(Killed):
            await office.settle()
    again = office.restarted()
    again.sending(way_out)
    again.clock.advance(LEASE.total_seconds())
    await again.settle()
    (delivery,) = await again.of(case)
    assert delivery.progress.state == "sent"
    assert server.ids() == Counter({f"<{delivery.id}@town.test>": mails})


@pytest.mark.row("I9")
async def test_every_mail_is_accepted_once_when_nothing_goes_wrong(
    office: Office, server: Server, way_out: SmtpChannel
) -> None:
    cases = [await office.receive() for _ in range(40)]
    other = office.restarted()
    other_way = to(office, server)
    other.sending(other_way)
    await asyncio.gather(office.settle(), other.settle())
    await other_way.close()
    deliveries = [delivery for case in cases for delivery in await office.of(case)]
    assert server.ids() == Counter({f"<{delivery.id}@town.test>": 1 for delivery in deliveries})
    assert len(deliveries) == 40


async def test_a_relay_that_is_away_fails_the_whole_batch_at_once(office: Office, server: Server) -> None:
    way_out = SmtpChannel(Relay.at("smtp://127.0.0.1:1"), office.stationery, office.clock, connections=2)
    assert await way_out.submit(letters(*["wang@home.test"] * 9), 20.0) == [Failed("connection")] * 9


async def test_a_letter_whose_turn_comes_too_late_is_not_begun(
    office: Office, server: Server, way_out: SmtpChannel
) -> None:
    assert await way_out.submit(letters("wang@home.test"), 0.0) == [Untried()]
    assert server.connections == 0


@pytest.mark.parametrize("domain", ["example.org", "mail.example.com", "EXAMPLE.NET", "town.example", "town.invalid"])
async def test_sample_addresses_never_reach_a_relay(
    office: Office, server: Server, way_out: SmtpChannel, domain: str
) -> None:
    assert await way_out.submit(letters(f"wang@{domain}"), 20.0) == [Refused("reserved-address")]
    assert server.connections == 0


@pytest.mark.row("A20")
async def test_words_with_smtp_in_them_stay_words(office: Office, server: Server, way_out: SmtpChannel) -> None:
    case = await office.receive(contact={"name": "Wang\r\nBcc: eve@evil.test"})
    await office.answer(case, "x\r\n.\r\nMAIL FROM:<eve@evil.test>\r\nRCPT TO:<eve@evil.test>\r\nDATA\r\n")
    await office.settle()
    assert set(server.recipients) == {"wang@home.test"}
    assert len(server.mails) == 2
    assert all("Bcc" not in read_mail(mail) for mail in server.mails)


@pytest.mark.parametrize(
    "url",
    ["", "localhost:25", "http://relay", "smtp://", "smtp://relay:port", "smtp://u:s3cret@:25", "ftp://u:s3cret@h"],
)
def test_a_url_that_cannot_be_read_is_one_clear_line_without_the_password(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"^NOTIFY_SMTP_URL: [^\n]+$") as raised:
        Relay.at(url)
    assert "s3cret" not in str(raised.value)


def test_the_scheme_chooses_port_and_encryption() -> None:
    ports = [Relay.at(f"{scheme}://relay.test").port for scheme in ("smtp", "smtps", "smtp+starttls")]
    assert ports == [25, 465, 587]
    assert "s3cret" not in repr(Relay.at("smtps://user:s3cret@relay.test"))
