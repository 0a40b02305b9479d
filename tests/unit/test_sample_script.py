"""The sample is what it says: an imaginary town, nobody's real address, every move after what it follows."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

from services.intake.channels.batch import BatchLine
from services.sample.script import Line, Step, read_messages, read_steps
from shared.clock import parse_rfc3339
from shared.web.pages import translate

END = datetime(2026, 9, 30, 8, tzinfo=UTC)
DAYS = 30


def messages() -> list[Line]:
    return list(read_messages(END))


def steps_of() -> dict[str, list[Step]]:
    steps: dict[str, list[Step]] = {}
    for step in read_steps(END):
        steps.setdefault(step.key, []).append(step)
    return steps


def test_there_are_about_three_hundred_messages_of_all_kinds_in_both_languages() -> None:
    said = messages()
    languages = Counter(line["language"] for line in said)
    assert 280 <= len(said) <= 320
    assert 0.65 <= languages["zh"] / len(said) <= 0.85
    assert {line.get("kind") for line in said} == {
        "complaint", "help", "enquiry", "suggestion", "praise", "report", None
    }  # fmt: skip
    assert {line["channel"] for line in said} >= {"web", "phone", "email", "wechat", "sms", "open311", "api"}
    assert len({line["key"] for line in said}) == len(said)


def test_every_message_is_a_line_of_a_batch_whose_channel_has_a_name() -> None:
    for line in messages():
        BatchLine.model_validate(line)
        assert translate("zh", f"channel.{line['channel']}")


def test_contacts_belong_to_nobody() -> None:
    for line in messages():
        contact = line.get("contact", {})
        assert contact.get("email", "@example.org").endswith("@example.org")
        assert re.fullmatch(r"\+44 7700 900\d{3}", contact.get("phone", "+44 7700 900000"))
        assert not (line["anonymous"] and contact)


def test_thirty_people_report_one_outage_in_two_days() -> None:
    outage = [
        line
        for line in messages()
        if re.search("梧桐苑|Wutong", f"{line.get('location')} {line['text']}") and re.search("水|water", line["text"])
    ]
    times = [parse_rfc3339(line["received_at"]) for line in outage]
    assert len(outage) >= 30
    assert (max(times) - min(times)).total_seconds() <= 2 * 86_400
    assert len({line["text"] for line in outage}) == len(outage)


def test_everything_lies_in_the_thirty_days_and_in_its_order() -> None:
    received = {line["key"]: parse_rfc3339(line["received_at"]) for line in messages()}
    assert all(0 < (END - at).days + 1 <= DAYS + 1 for at in received.values())
    for key, steps in steps_of().items():
        times = [received[key], *(parse_rfc3339(step.line["at"]) for step in steps)]
        assert times == sorted(set(times)), key
        assert times[-1] < END


def test_a_turn_ends_where_the_word_passes_to_the_other_side() -> None:
    for steps in steps_of().values():
        turn, last = 0, not steps[0].by_citizen
        for step in steps:
            turn += step.by_citizen != last
            last = step.by_citizen
            assert step.turn == turn
