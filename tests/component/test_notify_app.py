"""Notify put together: the settings choose the way out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.notify.app import build, channel_of
from services.notify.channels.channel import Letter
from services.notify.channels.discard import DiscardChannel
from services.notify.channels.maildir import MaildirChannel
from services.notify.channels.smtp import SmtpChannel
from services.notify.settings import NotifySettings
from shared.errors import Misconfigured
from shared.http.access import Access
from shared.service import Platform
from shared.settings import PlatformSettings
from tests.support.notify import Office, opened


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office


def platform(office: Office, public_url: str | None = None) -> Platform:
    settings = PlatformSettings(data=office.data, public_url=public_url)
    access = Access(office.vault_store, office.ids, office.clock)
    return Platform(settings, office.clock, office.ids, office.store, office.vault, access)


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({}, MaildirChannel),
        ({"NOTIFY_SMTP_URL": "smtp://relay.test"}, SmtpChannel),
        ({"NOTIFY_CHANNEL": "discard", "NOTIFY_SMTP_URL": "smtp://relay.test"}, DiscardChannel),
    ],
)
async def test_the_environment_chooses_the_way_out(
    office: Office, environment: dict[str, str], way: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert isinstance(channel_of(NotifySettings(), platform(office)), way)


@pytest.mark.parametrize(
    ("public_url", "sender", "name"),
    [
        (None, None, "回音 Huiyin <noreply@localhost.invalid>"),
        ("https://feedback.town.test/", None, "回音 Huiyin <noreply@feedback.town.test>"),
        ("https://回音.test", None, "回音 Huiyin <noreply@xn--zbso82m.test>"),
        (None, "Town Hall <hall@town.test>", "Town Hall <hall@town.test>"),
        (None, "hall@town.test", "回音 Huiyin <hall@town.test>"),
    ],
)
async def test_mail_comes_from_the_public_host_unless_told_otherwise(
    office: Office, public_url: str | None, sender: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sender:
        monkeypatch.setenv("NOTIFY_FROM", sender)
    way_out = channel_of(NotifySettings(), platform(office, public_url))
    await way_out.submit([Letter("a-1", "wang@home.test", "s", "t", "h", "en")], 20.0)
    assert [str(mail["From"]) for mail in office.mails()] == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [("NOTIFY_FROM", "nobody"), ("NOTIFY_FROM", "a@b.cn\r\nBcc: c@d.cn"), ("NOTIFY_SMTP_URL", "relay:25")],
)
async def test_a_setting_that_cannot_be_is_one_clear_line(
    office: Office, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=rf"^{name}: [^\n]+$"):
        build(platform(office))


async def test_notify_is_ready_once_it_knows_the_organisation(office: Office) -> None:
    wiring = build(platform(office))
    assert wiring.start is not None
    assert wiring.ready is not None
    assert wiring.knows().with_address is None
    await wiring.start()
    assert wiring.knows().with_address == {"reception", "works", "lighting"}
    assert await wiring.ready() is None
