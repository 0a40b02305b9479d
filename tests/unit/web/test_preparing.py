"""Pages are ready before somebody asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import Environment

from services.routing.pages import frame
from shared.web.pages import ENVIRONMENTS, Pages, prepare


async def test_a_page_asked_for_later_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(frame.__file__).parents[1] / "templates"
    monkeypatch.delitem(ENVIRONMENTS, folder, raising=False)
    pages = Pages(folder)
    await prepare()
    compiled: list[str | None] = []
    compile_ = Environment.compile

    def noted(self: Environment, source: str, name: str | None = None, *rest: object, **more: object) -> object:
        compiled.append(name)
        return compile_(self, source, name, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Environment, "compile", noted)
    assert "<h1" in pages.html("problem.html", "zh", here="", body_name="", principal=None, problem=404)
    assert compiled == []
