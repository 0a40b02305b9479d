"""The organisation file: what it says, and that every mistake names file, line and field."""

from __future__ import annotations

import re

import pytest

from services.routing.domain.organisation_file import read_organisation
from shared.errors import Misconfigured
from tests.unit.routing.building import SAMPLE, SMALL, TOWN


def test_the_sample_town_has_the_promised_departments() -> None:
    town = read_organisation(SAMPLE.read_text(), "organisation.yaml", "v")
    assert {"lighting", "water", "transport", "sanitation", "education", "reception"} <= set(town.departments)
    assert town.reception == "reception"
    assert all(department.email for department in town.departments.values())
    assert all(category.hours > 0 for category in town.categories.values())


def test_what_a_category_leaves_out_comes_from_its_parent() -> None:
    town = read_organisation(SAMPLE.read_text(), "organisation.yaml", "v")
    assert town.categories["street-lamp"].department == "lighting"
    assert town.categories["street-lamp"].hours == town.categories["lighting"].hours


def test_a_root_stands_for_its_whole_subtree() -> None:
    assert TOWN.subtrees({"works"}) == {"works", "lighting", "water"}
    assert TOWN.subtrees({"water", "nowhere"}) == {"water"}
    assert TOWN.subtrees(()) == frozenset()


def test_the_announcement_carries_trees_zone_and_reception() -> None:
    announced = TOWN.published()
    assert (announced.time_zone, announced.reception, announced.reopen_days) == ("Asia/Shanghai", "desk", 30)
    assert [d.id for d in announced.departments] == ["desk", "works", "lighting", "water"]
    assert announced.categories[0].department == "lighting"


MISTAKES = [
    # what is replaced, by what, the line and the field that the message names, and a word of it
    ("name: {zh: 小镇, en: Small Town}", "name: {zh: 小镇}", 1, "name", "en is missing"),
    ("time_zone: Asia/Shanghai", "time_zone: Asia/Atlantis", 2, "time_zone", "IANA"),
    ("time_zone: Asia/Shanghai", "time_zone: ../etc/passwd", 2, "time_zone", "IANA"),
    ("time_zone: Asia/Shanghai", "time_zone:", 2, "time_zone", "must be text"),
    ("reception: desk", "reception: nowhere", 3, "reception", "departments"),
    ("confidence_bar: 0.5", "confidence_bar: 1.5", 4, "confidence_bar", "0 to 1"),
    ("confidence_bar: 0.5", "confidence_bar: .nan", 4, "confidence_bar", "number"),
    ("deadline: 16", "deadline: soon", 5, "deadline", "number"),
    ("deadline: 16", "deadline: 0", 5, "deadline", "number"),
    ("deadline: 16", "", 1, "", "deadline is missing"),
    ("deadline: 16", "deadlin: 16", 5, "deadlin", "unknown field"),
    ("pause_cap: 8", "deadline: 8", 6, "deadline", "given twice"),
    ("silence_days: 7", "silence_days: 1.5", 7, "silence_days", "whole"),
    ("    mon: [09:00-12:00, 13:00-18:00]", "    mon: [9-12]", 11, "calendar.hours.mon[0]", "09:00-12:00"),
    ("    mon: [09:00-12:00, 13:00-18:00]", "    mon: [12:00-09:00]", 11, "calendar.hours.mon[0]", "before"),
    ("    mon: [09:00-12:00, 13:00-18:00]", "    mon: [20:00-24:30]", 11, "calendar.hours.mon[0]", "before"),
    (
        "    mon: [09:00-12:00, 13:00-18:00]",
        "    mon: [09:00-12:00, 11:00-18:00]",
        11,
        "calendar.hours.mon[1]",
        "overl",
    ),
    ("    mon: [09:00-12:00, 13:00-18:00]", "    moon: [09:00-12:00]", 11, "calendar.hours.moon", "unknown field"),
    ("  holidays: [2026-10-01]", "  holidays: [2026-13-01]", 16, "calendar.holidays[0]", "2026-10-08"),
    ("  holidays: [2026-10-01]", "  holidays: [2026-10-01, 2026-10-01]", 16, "calendar.holidays[1]", "twice"),
    ("  working_days: [2026-10-10]", "  working_days: [2026-10-01]", 17, "calendar.working_days[0]", "holiday"),
    ("  working_days: [2026-10-10]", "  country: Nowhere", 17, "calendar.country", "country"),
    ("id: works,", "id: desk,", 20, "departments[1].id", "twice"),
    ("id: works,", "id: suppressed,", 20, "departments[1].id", "figures use suppressed"),
    ("{id: north,", "{id: unspecified,", 35, "areas[0].id", "figures use unspecified"),
    ("  - id: pipes", "  - id: suppressed", 29, "categories[1].id", "figures use suppressed"),
    ("id: works,", "id: Works,", 20, "departments[1].id", "small letters"),
    ("{id: lighting, parent: works,", "{id: lighting, parent: gone,", 21, "departments[2].parent", "does not exist"),
    ("{id: lighting, parent: works,", "{id: lighting, parent: lighting,", 21, "departments[2].parent", "itself"),
    ("{id: works,", "{id: works, parent: water,", 20, "departments[1].parent", "itself"),
    ("email: desk@town.example", "email: desk", 19, "departments[0].email", "e-mail"),
    ("email: desk@town.example", "phone: 1", 19, "departments[0].phone", "unknown field"),
    ("    department: lighting", "    department: gas", 25, "categories[0].department", "departments"),
    ("    department: lighting\n", "", 24, "categories[0]", "department is missing"),
    ("    deadline: 8", "    deadline: -8", 26, "categories[0].deadline", "number"),
    ("    priority: high", "    priority: extreme", 31, "categories[1].priority", "normal or high"),
    ("    priority: high", "    parent: taps", 31, "categories[1].parent", "does not exist"),
    ("    priority: high", "    parent: pipes", 31, "categories[1].parent", "itself"),
    ("zh: {3: [路灯]}", "zh: {0: [路灯]}", 28, "categories[0].keywords.zh.0", "weight"),
    ("zh: {3: [路灯]}", "zh: {x: [路灯]}", 28, "categories[0].keywords.zh.x", "weight"),
    ("zh: {3: [路灯]}", "zh: {3: [灯]}", 28, "categories[0].keywords.zh.3[0]", "two characters"),
    ("zh: {3: [路灯]}", "zh: {3: [路灯], 2: [路灯]}", 28, "categories[0].keywords.zh.2[0]", "twice"),
    ("zh: {3: [路灯]}", "fr: {3: [路灯]}", 28, "categories[0].keywords.fr", "unknown field"),
    ("en: {3: [lamp]}", "en: {3: [灯泡]}", 28, "categories[0].keywords.en.3[0]", "English"),
    ("en: {3: [lamp]}", "en: {3: lamp}", 28, "categories[0].keywords.en.3", "must be a list"),
    ("areas:", "areas: {a: b}\nmore:", 35, "more", "unknown field"),
    ("  - {id: north,", "  - {id: north, parent: south,", 35, "areas[0].parent", "unknown field"),
    ("name: {zh: 小镇, en: Small Town}", "name: 小镇", 1, "name", "mapping"),
    ("name: {zh: 小镇, en: Small Town}", "name: {zh: 小镇, en: Small Town", 2, "", "YAML"),
    ("areas:", "? [a]\n: b\nareas:", 34, "", "a key must be a word"),
]


@pytest.mark.parametrize(("old", "new", "line", "field", "what"), MISTAKES, ids=[f"{m[3]}:{m[4]}" for m in MISTAKES])
def test_a_mistake_names_file_line_and_field(old: str, new: str, line: int, field: str, what: str) -> None:
    assert SMALL.count(old) == 1, "the mistake must be in one place"
    with pytest.raises(Misconfigured) as caught:
        read_organisation(SMALL.replace(old, new), "town.yaml", "v")
    message = str(caught.value)
    assert "\n" not in message
    named = re.fullmatch(rf"town\.yaml:(\d+): (?:{re.escape(field)}: )?.*", message)
    assert named, message
    assert (int(named[1]), field in message, what in message) == (line, True, True), message


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a list\n", "just words\n", "\t: tab\n"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"town\.yaml:1"):
        read_organisation(text, "town.yaml", "v")


def test_words_that_yaml_takes_for_something_else_stay_words() -> None:
    town = read_organisation(SMALL.replace("en: Works", "en: No"), "town.yaml", "v")
    assert town.departments["works"].label.en == "No"
