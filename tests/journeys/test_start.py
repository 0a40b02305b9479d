"""A start that cannot succeed says why, in one line, and ends with a status that is not zero."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.support.town import Town


@pytest.fixture
def founding() -> type[Town]:
    """What is said here is said of one process."""
    return Town


def refused(town: Town, **settings: str) -> str:
    """What a start that must fail says."""
    town.settings |= settings | {"HUIYIN_LOG": "text"}
    result = town.command("serve", check=False)
    assert result.returncode not in (0, -9)
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


async def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = refused(Town(tmp_path), HUIYIN_PORT=str(taken.getsockname()[1]))
    assert "port" in line


@pytest.mark.row("F45")
async def test_a_data_folder_that_another_process_has(town: Town, tmp_path: Path) -> None:
    second = Town(tmp_path)
    assert "in use by process" in refused(second)


async def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    assert "not writable" in refused(Town(tmp_path))


async def test_a_key_file_that_is_missing_beside_existing_data(tmp_path: Path) -> None:
    town = Town(tmp_path)
    await town.start()
    town.stop()
    shutil.rmtree(town.data / "keys")
    assert "key" in refused(town)


async def test_a_mistake_in_the_organisation_file_names_file_line_and_field(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "samples" / "organisation.yaml"
    text = sample.read_text(encoding="utf-8")
    broken = tmp_path / "town.yaml"
    broken.write_text(text.replace("time_zone:", "time_zome:", 1), encoding="utf-8")
    line = refused(Town(tmp_path), HUIYIN_ORGANISATION=str(broken))
    assert "town.yaml" in line
    assert "time_zo" in line
    assert any(character.isdigit() for character in line)


async def test_links_lead_to_the_port_and_a_command_that_fails_says_why_in_one_line(town: Town) -> None:
    assert town.settings["HUIYIN_PORT"] == "0"
    links = (await town.say("路灯不亮"))["links"]
    assert all(link.startswith(f"{town.address}/") for link in links.values())
    for words, line in (
        (("dump", "intake", "/no/such/folder/dump"), "huiyin: /no/such/folder/dump: No such file or directory"),
        (("dead-letters", "show", "routing", "1/2"), "huiyin: Not found"),
        (("import", str(town.log), "--map", "a=text"), f"huiyin: {town.log.name} has no column a"),
    ):
        refused = town.command(*words, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.strip().splitlines()[-1] == line
    assert "'nowhere'" in town.command("rebuild", "nowhere", check=False).stderr


async def test_a_setting_that_makes_no_sense(tmp_path: Path) -> None:
    assert "HUIYIN_PORT" in refused(Town(tmp_path), HUIYIN_PORT="eighty")


async def test_files_are_for_their_owner_only(town: Town) -> None:
    assert os.stat(town.data).st_mode & 0o077 == 0
    open_to_others = [
        path.name
        for path in town.data.rglob("*")
        if path.is_file() and os.stat(path).st_mode & 0o077 and "mail" not in path.parts
    ]
    assert open_to_others == []
    assert os.stat(town.data / "control.sock").st_mode & 0o077 == 0


async def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20) / ("path" * 10)
    folder.mkdir(parents=True)
    town = Town(folder)
    await town.start()
    assert (town.data / "control.path").exists()
    assert town.command("lag").returncode == 0
    socket_path = Path((town.data / "control.path").read_text())
    town.stop()
    assert not socket_path.exists()
