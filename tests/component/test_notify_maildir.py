"""Mail to citizens through a Maildir: each lies in it exactly once, wherever the process died."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.notify.channels import channel
from services.notify.channels.channel import Letter
from services.notify.channels.maildir import MaildirChannel
from services.notify.domain import LEASE, Sent
from tests.support.notify import BreakingStore, Killed, Office, opened, plain

LETTER = Letter("case-1", "wang@home.test", "Subject", "Words\n", "<p>Words</p>", "en")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office


async def test_an_acknowledgement_lies_in_the_maildir_with_number_and_link(office: Office) -> None:
    case = await office.receive()
    await office.settle()
    (mail,) = office.mails()
    (delivery,) = await office.of(case)
    assert mail["To"] == "wang@home.test"
    assert case.number in mail["Subject"]
    assert f"https://town.test/track#number={case.number}&code={'0' * 26}" in plain(mail)
    assert (delivery.progress.state, delivery.progress.submitted_at) == ("sent", office.clock.now())
    assert await office.emitted() == [f"delivery.sent {delivery.id}"]


async def test_a_mail_says_nothing_a_citizen_wrote(office: Office) -> None:
    case = await office.receive()
    await office.answer(case, "It shines again.")
    await office.settle()
    words = "\n".join(f"{mail} {plain(mail)}" for mail in office.mails())
    assert "It shines again." in words
    assert "Wang" not in words
    assert "dark" not in words


async def test_the_maildir_is_for_its_owner_only(office: Office) -> None:
    await office.receive()
    await office.settle()
    box = office.data / "mail"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (box, box / "new", box / "cur", box / "tmp")}
    assert modes == {"mail": 0o700, "new": 0o700, "cur": 0o700, "tmp": 0o700}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (box / "new").iterdir()] == [0o600]
    assert list((box / "tmp").iterdir()) == []


@pytest.mark.parametrize("read_as", [None, "case-1", "case-1:2,", "case-1:2,FS"])
async def test_a_letter_submitted_twice_lies_there_once(office: Office, read_as: str | None) -> None:
    box = office.data / "mail"
    maildir = MaildirChannel(box, office.stationery, office.clock)
    assert await maildir.submit([LETTER], 0) == [Sent(office.clock.now())]
    if read_as:
        (box / "new" / LETTER.id).rename(box / "cur" / read_as)
    assert await maildir.submit([LETTER], 0) == [Sent(office.clock.now())]
    assert len(office.mails()) == 1


@pytest.mark.parametrize("point", ["notify.before-submit", "notify.after-submit"])
async def test_a_process_that_dies_around_submission_leaves_one_mail(
    office: Office, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await office.receive()
    await office.answer(case, "It shines again.")

    def die(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(channel, "failpoint", die)
        with pytest.raises(Killed):
            await office.settle()
    again = office.restarted()
    await again.settle()
    assert {delivery.progress.state for delivery in await again.of(case)} == {"sending"}
    again.clock.advance(LEASE.total_seconds())
    await again.settle()
    assert {(delivery.progress.state, delivery.progress.attempts) for delivery in await again.of(case)} == {("sent", 2)}
    assert sorted(mail["Subject"].split(" ")[0] for mail in again.mails()) == ["An", "We"]


@pytest.mark.row("I9")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", [1, 2])
async def test_a_process_that_dies_in_a_write_leaves_one_mail_per_delivery(
    office: Office, write: int, after: bool
) -> None:
    cases = [await office.receive() for _ in range(3)]
    dying: Any = BreakingStore(office.store, write, after)
    with pytest.raises(Killed):
        await office.restarted(dying).settle()
    again = office.restarted()
    again.clock.advance(LEASE.total_seconds())
    await again.settle()
    sent = sorted([f"delivery.sent {delivery.id}" for case in cases for delivery in await again.of(case)])
    assert len(sent) == 3
    assert sorted(await again.emitted()) == sent
    assert sorted(mail["Message-ID"].strip() for mail in again.mails()) == sorted(
        f"<{line.split(' ')[1]}@town.test>" for line in sent
    )


async def test_a_mail_that_cannot_be_written_comes_again(office: Office) -> None:
    case = await office.receive()
    box = office.data / "mail"
    box.write_text("in the way")
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.reason) == ("failed", "disk")
    box.unlink()
    office.clock.advance(5)
    await office.settle()
    assert len(office.mails()) == 1


@pytest.mark.row("A20")
@pytest.mark.parametrize("address", ["a@b.cn\r\nBcc: eve@evil.test", "a@b.cn, c@d.cn", "nobody", 7, None])
async def test_an_address_that_is_none_is_never_written_to(office: Office, address: Any) -> None:
    case = await office.receive(contact={"email": address})
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.reason) == ("dead", "address")
    assert office.mails() == []


async def test_a_case_whose_keys_are_destroyed_is_not_written_to(office: Office) -> None:
    case = await office.receive()
    await office.erase(case)
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.reason) == ("dead", "erased")
    assert office.mails() == []


async def test_nothing_is_sent_before_the_organisation_is_known(tmp_path: Path) -> None:
    async with opened(tmp_path) as office:
        new = office.restarted()
        kept = await new.organisation.documents.get("organisation")
        assert kept is not None
        await office.receive()
        await office.store.drop("organisation")
        assert await new.sender.round() is False
        await new.announce()
        new.clock.advance(2)
        await new.settle()
        assert len(new.mails()) == 1


async def test_a_sender_told_to_stop_writes_down_what_it_has_submitted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await office.receive()

    def stop(name: str) -> None:
        if name == "notify.after-submit":
            running.cancel()

    monkeypatch.setattr(channel, "failpoint", stop)
    running = asyncio.create_task(office.sender.run())
    with pytest.raises(asyncio.CancelledError):
        await running
    (delivery,) = await office.of(case)
    assert delivery.progress.state == "sent"
    assert len(office.mails()) == 1


async def test_the_running_sender_sends_what_is_written_without_waiting(office: Office) -> None:
    running = asyncio.create_task(office.sender.run())
    try:
        await office.receive()
        office.deliveries.written.set()
        async with asyncio.timeout(5):
            while not office.mails():
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
