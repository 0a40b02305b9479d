"""How a delivery is worded. Templates are ours and sandboxed; what people wrote is only ever a value in them.

The first line of a template is the subject. Nothing a citizen wrote goes into a mail, so that nobody can have us send
their words to a stranger's address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from services.notify.channels.channel import Letter
from services.notify.domain import Delivery, Entry, Language, mail_language
from shared.events.routing import Organisation

TEMPLATES = Path(__file__).parents[1] / "templates"
LANGUAGES: tuple[Language, ...] = ("zh", "en")
KINDS = ("acknowledgement", "question", "answer", "closing", "digest")


class Letters:
    """Words deliveries and digests. Links begin with `link_base`; departments are written to in `language`."""

    def __init__(self, link_base: str, language: Language) -> None:
        self._link_base = link_base
        self._language = language
        environment = SandboxedEnvironment(
            autoescape=False,  # plain text
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates = {
            (kind, language): _parts(environment, f"{kind}.{language}.txt") for kind in KINDS for language in LANGUAGES
        }

    def to_citizen(
        self, delivery: Delivery, number: str, language: str, to: str, code: str, text: str | None, about: Organisation
    ) -> Letter:
        """What a citizen is told; the link opens the case, its secret in the part that browsers do not send."""
        speech = mail_language(language)
        link = f"{self._link_base}/track#{urlencode({'number': number, 'code': code})}"
        subject, words = self._templates[delivery.kind, speech]
        values = {"number": number, "link": link, "text": text, "organisation": getattr(about.name, speech)}
        return Letter(delivery.id, to, subject.render(values), words.render(values), speech)

    def to_department(self, id: str, to: str, entries: Sequence[Entry], about: Organisation) -> Letter:
        """The cases that came to a department or are overdue: numbers, categories, times and links, nobody's words."""
        speech = self._language
        zone = ZoneInfo(about.time_zone)
        labels = {category.id: getattr(category.label, speech) for category in about.categories}
        lists: dict[str, list[dict[str, str | None]]] = {"new": [], "overdue": []}
        for entry in entries:
            lists["overdue" if entry.kind == "overdue" else "new"].append(
                {
                    "number": entry.number,
                    "category": labels.get(entry.category or "", entry.category),
                    "deadline": _shown(entry.deadline, zone),
                    "link": f"{self._link_base}/desk#{urlencode({'number': entry.number})}",
                }
            )
        subject, words = self._templates["digest", speech]
        values = {**lists, "organisation": getattr(about.name, speech)}
        return Letter(id, to, subject.render(values), words.render(values), speech)


def _parts(environment: SandboxedEnvironment, name: str) -> tuple[Template, Template]:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    subject, _, words = source.partition("\n")
    return environment.from_string(subject), environment.from_string(words.lstrip("\n"))


def _shown(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else None
