"""How a delivery is worded: one content, `templates/KIND.LANGUAGE.jinja`, laid out twice, as text and as HTML.

A content is a file of blocks; `templates/layouts/` has the two layouts that put them in their places. Templates are
ours and sandboxed; what people wrote is only ever a value in them, and is escaped in HTML. Nothing a citizen wrote
goes into a mail, so that nobody can have us send their words to a stranger's address. The HTML loads nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from services.notify.channels.channel import Letter
from services.notify.domain import Delivery, Entry, Kind, Language, mail_language
from shared.events.routing import Organisation
from shared.web.pages import translate

TEMPLATES = Path(__file__).parents[1] / "templates"

STATES: Mapping[Kind, str] = {
    "acknowledgement": "received",
    "question": "awaiting-citizen",
    "answer": "answered",
    "closing": "closed",
}
"""Where the case of a citizen's mail stands, for the words of the state."""

Parts = dict[str, str]
"""The blocks of a content, filled in; escaped already where the rendering is HTML."""


@functools.cache
def _environment(autoescape: bool) -> SandboxedEnvironment:
    """Templates are compiled once in a process."""
    return SandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Rendering:
    """One of the two ways to lay a content out."""

    def __init__(self, form: str) -> None:
        self._html = form == "html"
        self._environment = _environment(self._html)
        self._layout = self._environment.get_template(f"layouts/letter.{form}")

    def parts(self, content: str, values: Mapping[str, Any]) -> Parts:
        """The blocks of `content` with these values."""
        template = self._environment.get_template(content)
        context = template.new_context(dict(values))
        filled = {name: "".join(block(context)).strip() for name, block in template.blocks.items()}
        return {name: Markup(words) for name, words in filled.items()} if self._html else filled  # noqa: S704 (escaped)

    def lay_out(self, parts: Parts, values: Mapping[str, Any], sections: Sequence[Mapping[str, Any]] = ()) -> str:
        """The whole mail. What a content leaves out leaves no trace."""
        places = dict.fromkeys(("lead", "words", "after", "action", "hint", "number", "link"), "")
        return self._layout.render({**places, **values, **parts, "sections": sections})


class Letters:
    """Words deliveries and digests. Links begin with `link_base`; departments are written to in `language`."""

    def __init__(self, link_base: str, language: Language) -> None:
        self._link_base = link_base
        self._language = language
        self._text, self._html = Rendering("txt"), Rendering("html")

    def to_citizen(
        self, delivery: Delivery, number: str, language: str, to: str, code: str, text: str | None, about: Organisation
    ) -> Letter:
        """What a citizen is told; the link opens the case, its secret in the part that browsers do not send."""
        speech = mail_language(language)
        values = {
            "number": number,
            "text": text,
            "link": f"{self._link_base}/track#{urlencode({'number': number, 'code': code})}",
            "state": translate(speech, f"state.{STATES[delivery.kind]}"),
            "label_number": translate(speech, "mail.number"),
            "label_state": translate(speech, "mail.state"),
            **_common(speech, about),
        }
        content = f"{delivery.kind}.{speech}.jinja"
        plain, rich = (form.parts(content, values) for form in (self._text, self._html))
        words = self._text.lay_out(plain, values)
        return Letter(delivery.id, to, plain["subject"], words, self._html.lay_out(rich, values), speech)

    def to_department(self, id: str, to: str, entries: Sequence[Entry], about: Organisation) -> Letter:
        """The cases that came to a department or are overdue: numbers, categories, times and links, nobody's words."""
        speech = self._language
        late = [entry for entry in entries if entry.kind == "overdue"]
        new = [entry for entry in entries if entry.kind != "overdue"]
        values = {"new": len(new), "overdue": len(late), **_common(speech, about)}

        def laid_out(form: Rendering) -> tuple[str, str]:
            parts = form.parts(content, {**values, "deadline": ""})
            sections = [
                {"heading": parts[name], "late": name == "late", "rows": [row(form, parts, entry) for entry in listed]}
                for name, listed in (("late", late), ("new", new))
                if listed
            ]
            return parts["subject"], form.lay_out(parts, values, sections)

        def row(form: Rendering, parts: Parts, entry: Entry) -> dict[str, str]:
            deadline = _shown(entry.deadline, ZoneInfo(about.time_zone))
            return {
                "number": entry.number,
                "about": labels.get(entry.category or "", entry.category) or parts["uncategorised"],
                "due": form.parts(content, {**values, "deadline": deadline})["due"] if deadline else parts["undated"],
                "link": f"{self._link_base}/desk/cases/{entry.number}",
            }

        labels = {category.id: getattr(category.label, speech) for category in about.categories}
        content = f"digest.{speech}.jinja"
        (subject, words), (_, html) = laid_out(self._text), laid_out(self._html)
        return Letter(id, to, subject, words, html, speech)


def _common(speech: Language, about: Organisation) -> dict[str, str]:
    return {"language": speech, "organisation": getattr(about.name, speech)}


def _shown(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else None
