"""The words of the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from shared.events.intake import Kind
from shared.events.routing import State
from shared.web.pages import LANGUAGES, Language, assets, catalogue, language_of, translate

ROOT = Path(__file__).parents[3]
SOURCES = [
    *ROOT.glob("services/*/templates/*.html"),
    *ROOT.glob("shared/web/templates/*.html"),
    *ROOT.glob("services/*/pages.py"),
    *ROOT.glob("services/*/pages/*.py"),
]
KEYS = {
    key
    for path in SOURCES
    for key in re.findall(
        r"""(?:\bt\(|translate\(language, )['"]([a-z0-9.-]+)['"]\s*[,)]|"((?:errors|problem|deadline)\.(?!html)[a-z.-]+)\"""",
        path.read_text(encoding="utf-8"),
    )
    for key in key
    if key
}
MADE = (
    "kind.", "state.", "step.", "channel.", "solved.", "promise.", "privacy.", "why.", "told.", "track.done.", "time.", "track.number", "track.code",
)  # fmt: skip
"""Keys that are put together where they are used."""


def test_both_languages_have_the_same_keys() -> None:
    assert set(catalogue("zh")) == set(catalogue("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_empty(language: Language) -> None:
    assert [key for key, words in catalogue(language).items() if not words] == []


def test_every_key_that_a_page_uses_exists() -> None:
    assert KEYS
    assert KEYS - set(catalogue("zh")) == set()


def test_no_word_of_the_portal_is_left_over() -> None:
    written = (ROOT / "shared/web/catalogues/en/portal.po").read_text(encoding="utf-8")
    told = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    keys = set(re.findall(r'msgid "([^"]+)"', written))
    assert {
        key for key in keys if not key.startswith(MADE) and not re.search(rf"""['"]{re.escape(key)}['"]""", told)
    } == set()


def test_every_state_and_kind_has_words() -> None:
    wanted = {f"state.{state}" for state in get_args(State)} | {f"kind.{kind}" for kind in get_args(Kind)}
    assert wanted - set(catalogue("en")) == set()


def test_placeholders_are_the_same_in_both_languages() -> None:
    def places(language: Language, key: str) -> list[str]:
        return sorted(re.findall(r"%\((\w+)\)s", catalogue(language)[key]))

    assert [key for key in catalogue("zh") if places("zh", key) != places("en", key)] == []


def test_words_are_filled_in() -> None:
    assert translate("zh", "site.of", body="澄川县") == "澄川县群众反馈"


@pytest.mark.parametrize(
    ("asked", "accepted", "chosen"),
    [
        ("en", "zh-CN", "en"),
        ("zh", "en", "zh"),
        (None, "en-GB,en;q=0.9", "en"),
        (None, "fr-FR, zh;q=0.5", "zh"),
        (None, None, "zh"),
        ("klingon", "de", "zh"),
    ],
)
def test_the_language_is_the_one_asked_for_or_the_first_that_we_have(
    asked: str | None, accepted: str | None, chosen: str
) -> None:
    assert language_of(asked, accepted) == chosen


def test_only_the_token_file_names_colours() -> None:
    colour = re.compile(r"#[0-9a-fA-F]{3,8}\b|\brgb\(")
    found = [name for name, (content, kind) in assets().items() if "css" in kind and colour.search(content.decode())]
    assert found == ["tokens.css"]


def test_no_page_has_an_inline_style_or_script_or_asks_another_host() -> None:
    for path in SOURCES:
        if path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"<script|\sstyle=|\son[a-z]+=|https?://", text), path.name


def test_what_is_counted_has_a_singular() -> None:
    assert [translate("en", "people.list", count=n) for n in (0, 1, 2)] == ["0 people", "1 person", "2 people"]
    assert [translate("zh", "people.list", count=n) for n in (1, 2)] == ["1 人", "2 人"]
