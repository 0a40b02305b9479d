"""Text is made safe, told apart by script and cut into words."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text import INVISIBLE, UNREADABLE, clean, language, words


@pytest.mark.row("A5")
@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x\udfffy"])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^unreadable$"):
        clean(text)


@pytest.mark.row("A5")
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("路灯\u200b坏了\ufeff", "路灯坏了"),
        ("a\u202eevil\u202c", "aevil"),
        ("bell\x07 esc\x1b[31m", "bell esc[31m"),
        ("one\r\ntwo\rthree\u2028four\tfive", "one\ntwo\nthree\nfour\tfive"),
        ("  \u3000\n both ends \n", "both ends"),
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("👨\u200d👩\u200d👧 family", "👨\u200d👩\u200d👧 family"),
        ("join\u200der", "joiner"),
    ],
)
def test_text_is_normalised_without_changing_what_it_says(written: str, kept: str) -> None:
    assert clean(written) == kept


@pytest.mark.row("A5")
def test_length_counts_in_characters_and_in_bytes() -> None:
    assert len(clean("字" * 20_000)) == 20_000
    for text in ("字" * 20_001, "🙂" * 16_385):
        with pytest.raises(ValueError, match=r"^too_long$"):
            clean(text)
    with pytest.raises(ValueError, match=r"^too_long$"):
        clean("abc", max_chars=2)


@pytest.mark.row("A5")
def test_a_megabyte_of_combining_marks_costs_no_time_and_leaves_one_letter() -> None:
    started = time.process_time()
    kept = clean("a" + "\u0301\u0323" * 250_000)
    assert time.process_time() - started < 2.0
    assert len(kept) < 12


@pytest.mark.row("A5")
@given(st.text(alphabet=st.characters()))
def test_whatever_is_sent_is_refused_by_a_code_or_comes_out_clean(text: str) -> None:
    if UNREADABLE.search(text):
        with pytest.raises(ValueError, match=r"^unreadable$"):
            clean(text)
        return
    kept = clean(text)
    assert unicodedata.is_normalized("NFC", kept)
    assert not INVISIBLE.search(kept)
    assert kept == kept.strip()
    kept.encode()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("路灯坏了三天没人修", "zh"),
        ("The street lamp is broken", "en"),
        ("我家wifi不通", "zh"),
        ("The road 建设路 is broken again near the school", "en"),
        ("12345", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_told_by_the_script(text: str, spoken: str) -> None:
    assert language(text) == spoken


def test_words_are_pairs_of_han_characters_and_latin_words_in_lower_case() -> None:
    assert words("路灯坏了！Broken LAMP-post 3号") == ["路灯", "灯坏", "坏了", "broken", "lamp", "post", "3", "号"]
    assert words("、。 —") == []
