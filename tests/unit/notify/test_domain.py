"""Deliveries: ids, windows, addresses, and the state machine of one attempt after another."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.notify.domain import (
    LEASE,
    Failed,
    Outcome,
    Progress,
    Refused,
    Sent,
    Untried,
    case_of,
    delivery_id,
    digest_id,
    mail_id,
    mail_language,
    valid_address,
    window_end,
)
from services.notify.settings import NotifySettings

NOW = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)
RETRIES = NotifySettings().retries
CASE = "01JNB3Y7M4Q9T8S6R5P4N3M2K1"


def test_a_delivery_is_named_by_event_recipient_and_channel() -> None:
    ids = {
        delivery_id(CASE, event, recipient, channel)
        for event in ("/routing/a/1", "/routing/a/2")
        for recipient in ("citizen", "department:water")
        for channel in ("email", "sms")
    }
    assert len(ids) == 8
    assert ids == {id for id in ids if re.fullmatch(r"[0-9A-Za-z-]+", id) and case_of(id) == CASE}
    assert delivery_id(CASE, "/routing/a/1", "citizen", "email") in ids


def test_a_digest_is_named_by_department_window_and_part() -> None:
    assert digest_id("water", NOW, 2) == "water:2026-03-02T08:00:01.000Z:2"
    assert re.fullmatch(r"digest-[0-9a-f]{32}", mail_id(digest_id("water", NOW, 2)))


def test_a_failed_delivery_comes_again_on_a_schedule_and_then_is_dead() -> None:
    progress, now, pauses = Progress(next_at=NOW), NOW, []
    while progress.due is not None:
        now = progress.due
        claimed = progress.claimed(now, True, RETRIES)
        settled = claimed.settled(now + LEASE, Failed("timeout"), now, RETRIES)
        assert settled is not None
        progress = settled
        if progress.due:
            pauses.append((progress.due - now).total_seconds())
    assert pauses == [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]
    assert (progress.state, progress.attempts, progress.reason) == ("dead", 8, "timeout")


def test_what_is_refused_for_good_is_dead_at_once() -> None:
    claimed = Progress(next_at=NOW).claimed(NOW, True, RETRIES)
    assert claimed.settled(NOW + LEASE, Refused("erased"), NOW, RETRIES) == Progress("dead", 1, reason="erased")


def test_an_attempt_that_never_began_does_not_count() -> None:
    claimed = Progress(next_at=NOW).claimed(NOW, True, RETRIES)
    assert claimed.settled(NOW + LEASE, Untried(), NOW, RETRIES) == Progress(next_at=NOW)


@pytest.mark.row("F5")
def test_who_lost_the_lease_has_nothing_to_say() -> None:
    claimed = Progress(next_at=NOW).claimed(NOW, True, RETRIES)
    later = NOW + LEASE
    again = claimed.claimed(later, True, RETRIES)
    assert again.settled(NOW + LEASE, Failed("timeout"), later, RETRIES) is None
    assert again.settled(later + LEASE, Sent(later), later, RETRIES) == Progress("sent", 2, submitted_at=later)


@pytest.mark.row("F40")
def test_a_cut_off_attempt_that_must_not_repeat_becomes_unknown() -> None:
    claimed = Progress(next_at=NOW).claimed(NOW, False, RETRIES)
    assert claimed.state == "sending"
    assert claimed.claimed(NOW + LEASE, False, RETRIES) == Progress("unknown", 1, reason="interrupted")


@pytest.mark.parametrize(
    ("seconds", "end"), [(0, NOW), (300, NOW.replace(minute=5, second=0)), (1, NOW.replace(second=2))]
)
def test_a_window_ends_at_a_multiple_of_its_length(seconds: int, end: datetime) -> None:
    assert window_end(NOW, seconds) == end


@pytest.mark.parametrize("address", ["a@b.cn", "wang.fang+1@mail.town.gov.cn", "x_y@a-b.org"])
def test_a_plain_mailbox_is_an_address(address: str) -> None:
    assert valid_address(address)


@pytest.mark.row("A20")
@pytest.mark.parametrize(
    "address",
    [
        "", "a", "a@b", "@b.cn", "a@", "a@b.cn\r\nBcc: c@d.cn", "a@b.cn\n", "a b@c.cn", "a@b.cn,c@d.cn", "<a@b.cn>",
        "A <a@b.cn>", '"a"@b.cn', "a@b..cn", "王@b.cn", "a@[127.0.0.1]", "a@b.cn\0", f"{'a' * 65}@b.cn",
        f"a@{'b.' * 130}cn", None, 7, ["a@b.cn"],
    ],
)  # fmt: skip
def test_anything_else_is_not_an_address(address: object) -> None:
    assert not valid_address(address)


def test_a_case_in_another_language_is_written_to_in_english() -> None:
    assert [mail_language(tag) for tag in ("zh", "zh-Hant", "en", "fr")] == ["zh", "zh", "en", "en"]


class Attempts(RuleBasedStateMachine):
    """Any order of claims, outcomes (also of attempts long given up), crashes, time and replays."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.progress = Progress(next_at=NOW)
        self.held: list[datetime] = []
        self.accepted = 0
        self.crashes = 0

    @rule(seconds=st.integers(0, 40_000))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds, milliseconds=1)

    @precondition(lambda self: self.progress.is_due(self.now))
    @rule(repeatable=st.booleans())
    def someone_claims_it(self, repeatable: bool) -> None:
        was, self.progress = self.progress, self.progress.claimed(self.now, repeatable, RETRIES)
        if self.progress.state == "unknown":
            assert was.state == "sending"
            assert not repeatable or was.attempts > len(RETRIES)
            return
        self.crashes += was.state == "sending"
        assert self.progress.attempts == was.attempts + 1
        self.held.append(self.now + LEASE)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(["sent", "failed", "refused", "untried"]))
    def an_attempt_ends(self, data: st.DataObject, outcome: str) -> None:
        lease = data.draw(st.sampled_from(self.held))
        ends: dict[str, Outcome] = {
            "sent": Sent(self.now), "failed": Failed("x"), "refused": Refused("x"), "untried": Untried(),
        }  # fmt: skip
        settled = self.progress.settled(lease, ends[outcome], self.now, RETRIES)
        if lease != self.held[-1] or self.progress.state != "sending":
            assert settled is None
            return
        assert settled is not None
        self.accepted += outcome == "sent"
        self.progress = settled

    @precondition(lambda self: self.progress.state in ("failed", "unknown", "dead"))
    @rule()
    def a_person_replays_it(self) -> None:
        self.progress = Progress(next_at=self.now)

    @invariant()
    def it_waits_exactly_while_it_is_not_settled(self) -> None:
        assert (self.progress.due is None) == (self.progress.state in ("sent", "unknown", "dead"))
        assert 0 <= self.progress.attempts <= len(RETRIES) + 1

    @invariant()
    def it_is_sent_once_and_stays_sent(self) -> None:
        assert self.accepted <= 1
        assert (self.progress.state == "sent") == (self.accepted == 1)
        assert (self.progress.submitted_at is not None) == (self.progress.state == "sent")


Attempts.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAttempts = Attempts.TestCase
