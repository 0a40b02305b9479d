"""The log tells what failed and where, and nothing that a person wrote."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.telemetry.logs import LONGEST, configure, log
from shared.telemetry.tracing import continue_trace

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def logging_as_json() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    configure("json")
    yield
    configure("json")
    logging.getLogger().handlers, logging.getLogger().level = handlers, level


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, Any]]:
    def last() -> dict[str, Any]:
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        line: dict[str, Any] = json.loads(captured.err)
        return line

    return last


Told = Callable[[], dict[str, Any]]


def test_a_line_is_one_json_object_on_standard_error(told: Told) -> None:
    log("intake").warning("the disk is nearly full", free=12, part=0.5)
    line = told()
    assert line.pop("time").endswith("Z")
    said = {"service": "intake", "event": "the disk is nearly full", "free": 12, "part": 0.5}
    assert line == {"level": "warning", **said}


def test_lines_below_info_are_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    log("intake").debug("hm")
    assert capsys.readouterr().err == ""


@pytest.mark.row("F7")
def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 (closing it fails as well)
    monkeypatch.setattr("sys.stderr", full)
    log("intake").warning("the disk is full")
    with contextlib.suppress(OSError):
        full.close()


@pytest.mark.row("A23")
@pytest.mark.parametrize("evil", ["a\r\n{}", "\x1b[2J", '"}\n{"level":"error', "\u202eabc", "\u2028", "\ud800"])
def test_nothing_breaks_out_of_its_field(told: Told, evil: str) -> None:
    log("intake").info("something", field=evil)
    field = told()["field"]
    assert all(character.isprintable() for character in field)


@pytest.mark.row("A23")
@pytest.mark.parametrize("long", ["x" * 1_000_000, "字" * 1_000_000, {"a": ["x" * 10_000]}])
def test_a_field_is_at_most_a_kilobyte(told: Told, long: Any) -> None:
    log("intake").info("something", field=long)
    assert len(told()["field"].encode()) <= LONGEST


@pytest.mark.row("A23")
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**2_000, 1 << 80])
def test_what_is_no_number_or_an_enormous_one_is_told_as_text(told: Told, number: float) -> None:
    log("intake").info("something", field=number)
    field = told()["field"]
    assert isinstance(field, str)
    assert len(field) <= LONGEST


@pytest.mark.row("A7")
def test_an_exception_is_told_by_class_place_and_hash(told: Told) -> None:
    try:
        raise ValueError("王芳 13900000000")
    except ValueError as error:
        log("intake").error("a request failed", exc_info=error)
        by_object = told()
        log("intake").exception("a request failed")
        by_context = told()
    assert by_object["error"] == "ValueError"
    assert by_object["error_at"].startswith("tests/unit/shared/telemetry/test_logs.py:")
    assert len(by_object["error_hash"]) == 12
    assert "1390" not in str(by_object) + str(by_context)
    assert by_context["error_hash"] == by_object["error_hash"]
    assert by_context["level"] == "error"


@pytest.mark.row("A7")
def test_libraries_are_heard_without_their_arguments(told: Told) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <ValueError('13900000000')>")
    assert told()["event"] == "Task exception was never retrieved"
    logging.getLogger("uvicorn.error").warning("bad request from %s", "192.0.2.1", exc_info=ValueError("13900000000"))
    line = told()
    assert "192.0.2.1" not in str(line)
    assert "1390" not in str(line)
    assert line["error"] == "ValueError"
    logging.getLogger("uvicorn.error").info("Started")


def test_a_line_carries_the_trace_it_belongs_to(told: Told) -> None:
    with continue_trace(TRACEPARENT):
        log("intake").info("something")
    assert told()["trace"] == "0af7651916cd43dd8448eb211c80319c"


def test_text_for_people_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    log("intake").info("something", field="a\nb")
    assert capsys.readouterr().err.count("\n") == 1
