"""The key file: made once, for its owner only, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.errors import Misconfigured
from shared.vault import key_file

KEY = bytes(range(32))


def test_it_is_made_for_its_owner_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "huiyin.key"
    assert key_file.read(path) is None
    assert key_file.create(path, KEY) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert key_file.read(path) == KEY
    assert os.listdir(path.parent) == [path.name]


def test_a_key_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "huiyin.key"
    key_file.create(path, KEY)
    assert key_file.create(path, bytes(32)) == KEY


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode(), KEY.hex().upper().encode() + b"\n"])
def test_raw_and_hexadecimal_keys_are_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "huiyin.key"
    path.write_bytes(content)
    assert key_file.read(path) == KEY


@pytest.mark.parametrize("content", [b"", b"short", KEY * 2, KEY.hex().encode()[:-2], "密钥".encode() * 11])
def test_what_is_no_key_is_said_in_one_line_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "huiyin.key"
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match="does not hold a key") as refused:
        key_file.read(path)
    assert "\n" not in str(refused.value)
    assert "short" not in str(refused.value)


def test_a_place_where_no_file_can_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file where the folder should be")
    with pytest.raises(Misconfigured, match="cannot be made"):
        key_file.create(tmp_path / "keys" / "huiyin.key", KEY)


def test_every_purpose_has_a_key_of_its_own() -> None:
    derived = {key_file.derive(KEY, purpose) for purpose in ("wrap/text", "wrap/reply", "fingerprint", "digest/code")}
    assert len(derived) == 4
    assert KEY not in derived
