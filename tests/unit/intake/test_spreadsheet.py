"""Tables from elsewhere, row by row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from services.intake.channels.spreadsheet import PRESETS, Preset, Row, RowError, count_rows, mapped, read_rows
from shared.errors import Misconfigured

TEXT = Preset("t", {"text": ("text",)})


def lines(path: Path, preset: Preset, live: bool = False) -> list[dict[str, str]]:
    rows = list(read_rows(path, preset, live))
    assert all(isinstance(row, Row) for row in rows)
    return [json.loads(row.line) for row in rows if isinstance(row, Row)]


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_the_preset_joins_title_and_body(tmp_path: Path) -> None:
    path = tmp_path / "c_hot.csv.gz"
    path.write_bytes(
        gzip.compress('id,user,title,time,body,down,up\n7,u1,灯,2020-02-03 04:05,"不亮\n了",0,1\n'.encode("utf-8-sig"))
    )
    (line,) = lines(path, PRESETS["c_hot"])
    assert line | {"key": ""} == {
        "text": "灯\n不亮\n了",
        "received_at": "2020-02-03 04:05",
        "contact": {"name": "u1"},
        "key": "",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    assert [line["text"] for line in lines(table(tmp_path, "text\n路灯不亮了\n", encoding), TEXT)] == ["路灯不亮了"]


def test_a_key_comes_from_the_id_or_from_the_content_and_how_often_it_came(tmp_path: Path) -> None:
    path = table(tmp_path, "text,n\nx,1\nx,1\ny,2\n")
    by_content = [line["key"] for line in lines(path, TEXT)]
    assert len(set(by_content)) == 3
    assert [line["key"] for line in lines(path, TEXT)] == by_content
    assert [line["key"] for line in lines(path, TEXT, live=True)] == by_content
    by_id = [line["key"] for line in lines(path, mapped(["text=text", "n=id"], "t"))]
    assert by_id[0] == by_id[1] != by_id[2]
    assert not set(by_id) & {line["key"] for line in lines(path, mapped(["text=text", "n=id"], "other"))}


def test_the_order_of_other_rows_does_not_change_a_key(tmp_path: Path) -> None:
    one = [line["key"] for line in lines(table(tmp_path, "text\nx\ny\n"), TEXT)]
    assert [line["key"] for line in lines(table(tmp_path, "text\ny\nx\n"), TEXT)] == one[::-1]


def test_a_row_that_cannot_be_sent_is_named_with_field_and_code_and_never_its_value(tmp_path: Path) -> None:
    head = "text,mail,lat,lon,kind\n"
    path = table(
        tmp_path, head + "x,secret.example,1,1,\n,a@b.example,,,\nx,,up,1,\nx,,1,,\nx,,,,rumour\nfine,,1.5,2,help\n"
    )
    preset = mapped(["text=text", "mail=email", "lat=lat", "lon=lon", "kind=kind"], "t")
    *wrong, good = read_rows(path, preset)
    assert isinstance(good, Row)
    found = [(row.number, [(e.location, e.code) for e in row.errors]) for row in wrong if isinstance(row, RowError)]
    assert found == [
        (1, [("/contact/email", "not_an_email")]),
        (2, [("/text", "missing")]),
        (3, [("/location/lat", "not_a_number"), ("/location", "lat_and_lon")]),
        (4, [("/location", "lat_and_lon")]),
        (5, [("/kind", "literal_error")]),
    ]
    assert "secret" not in repr(wrong)
    assert count_rows(path, preset) == 6


@pytest.mark.parametrize("pairs", [["a=b"], ["text"], ["=text"], ["a=kind"], []])
def test_a_mapping_that_means_nothing_is_refused(pairs: list[str]) -> None:
    with pytest.raises(Misconfigured):
        mapped(pairs, "t")


@pytest.mark.parametrize(
    "content",
    [b"other\nx\n", b"", b"text\n\xff\xfe\xff\n", b'text\n"' + b"x" * 300_000 + b'"\n'],
    ids=["column", "empty", "encoding", "cell"],
)
def test_a_file_that_is_no_such_table_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(Misconfigured) as caught:
        list(read_rows(path, TEXT))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"text\n" + b"x\n" * 5000)[:-20])
    with pytest.raises(Misconfigured):
        list(read_rows(path, TEXT))
    with pytest.raises(Misconfigured):
        list(read_rows(tmp_path / "absent.csv", TEXT))


@pytest.mark.real_data
def test_every_row_of_the_hot_messages_can_be_sent() -> None:
    path = Path(__file__).parents[4] / "shared" / "data" / "c_hot.csv.gz"
    if not path.exists():
        pytest.skip("the data folder is not here")
    rows = list(read_rows(path, PRESETS["c_hot"]))
    assert len(rows) == 4326
    assert [row for row in rows if isinstance(row, RowError)] == []
    assert len({json.loads(row.line)["key"] for row in rows if isinstance(row, Row)}) == 4326
