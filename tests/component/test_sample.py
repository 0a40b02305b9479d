"""When the sample is taken in: in a new installation of the sample's town, and until it has been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.sample import Sample, is_unfinished
from services.sample.mark import Mark, read_mark, write_mark
from shared.settings import PlatformSettings
from tests.support.clock import ManualClock


def sample(folder: Path, clock: ManualClock | None = None, **settings: Any) -> Sample:
    return Sample(PlatformSettings(data=folder, **({"sample": "on"} | settings)), clock or ManualClock())


def test_the_first_start_fixes_when_it_ends_and_later_ones_keep_that(tmp_path: Path) -> None:
    clock = ManualClock()
    first = clock.now()
    assert sample(tmp_path, clock).begins(fresh=True)
    clock.advance(3600)
    assert sample(tmp_path, clock).begins(fresh=False), "it was not finished"
    assert read_mark(tmp_path) == Mark(first)
    assert is_unfinished(tmp_path)


def test_what_was_taken_in_is_not_taken_in_again(tmp_path: Path) -> None:
    write_mark(tmp_path, Mark(ManualClock().now(), done=True))
    assert not sample(tmp_path).begins(fresh=False)
    assert not is_unfinished(tmp_path)


def test_an_installation_that_has_a_past_of_its_own_gets_none(tmp_path: Path) -> None:
    assert not sample(tmp_path).begins(fresh=False)
    assert read_mark(tmp_path) is None


def test_another_organisation_gets_none(tmp_path: Path) -> None:
    assert not sample(tmp_path, organisation=tmp_path / "mine.yaml").begins(fresh=True)
    assert read_mark(tmp_path) is None


def test_switched_off_it_is_left_as_far_as_it_came(tmp_path: Path) -> None:
    assert not sample(tmp_path, sample="off").begins(fresh=True)
    assert sample(tmp_path).begins(fresh=True)
    assert not sample(tmp_path, sample="off").begins(fresh=False)
    assert not is_unfinished(tmp_path)
    assert not sample(tmp_path).begins(fresh=False)
