"""Pages: one layout, one set of words in zh and en, one way to say when. Everything a person wrote is escaped."""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shared.clock import Clock

HERE = Path(__file__).parent
LANGUAGES: tuple[Language, ...] = ("zh", "en")
Language = Literal["zh", "en"]

WHEN = {
    "zh": {
        "moment": "y 年 M 月 d 日 HH:mm",
        "short": "M 月 d 日 HH:mm",
        "day": "M 月 d 日 EEE",
        "weekday": "EEE",
        "month": "y 年 M 月",
        "time": "HH:mm",
    },
    "en": {
        "moment": "d MMM y, HH:mm",
        "short": "d MMM, HH:mm",
        "day": "EEE d MMM",
        "weekday": "EEE",
        "month": "MMM y",
        "time": "HH:mm",
    },
}


SOON = 2.0
"""Seconds that a process which has just started has better things to do than to prepare pages."""


@functools.cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Every message of a language: the merged `.po` files of its folder. Of a plural, the singular has a key of its own."""
    words: dict[str, str] = {}
    for path in sorted((HERE / "catalogues" / language).glob("*.po")):
        with path.open("rb") as file:
            for message in filter(lambda message: message.id, read_po(file)):
                words.update(_forms(message))
    return words


def _forms(message: Message) -> dict[str, str]:
    if isinstance(message.id, str):
        return {message.id: str(message.string)}
    (one, many), forms = message.id, tuple(message.string or ())
    return {one: forms[0], many: forms[-1]}


def translate(language: Language, key: str, **values: object) -> str:
    """The words of a key, with `%(name)s` filled in: in the singular where there is one and `n` or `count` is 1.

    Raises KeyError for a key that no catalogue has.
    """
    words = catalogue(language)
    if values.get("n", values.get("count")) in (1, "1"):
        key = f"{key}.one" if f"{key}.one" in words else key
    return words[key] % values if values else words[key]


def lasting(language: Language, span: timedelta) -> str:
    """A span in its largest unit and the one below: days and hours, hours and minutes, or minutes."""
    minutes = int(span.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [("day", days), ("hour", hours)] if days else [("hour", hours), ("minute", minutes)]
    told = [translate(language, f"time.{unit}", n=n) for unit, n in parts if n]
    return " ".join(told) or translate(language, "time.minute", n=0)


def language_of(asked: str | None, accepted: str | None) -> Language:
    """The language asked for (`?lang=`), else the first of Accept-Language that we have, else zh."""
    if asked in ("zh", "en"):
        return "en" if asked == "en" else "zh"
    for part in (accepted or "").split(","):
        match part.strip()[:2].lower():
            case "zh":
                return "zh"
            case "en":
                return "en"
    return "zh"


ENVIRONMENTS: dict[Path, Environment] = {}
"""The templates that this process makes pages from, by their folder; each is compiled once in its life."""


def _environment(folder: Path) -> Environment:
    """The templates of a folder and the shared ones."""
    made = Environment(
        loader=FileSystemLoader([folder, HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["asset"] = address
    made.globals["script"] = script
    return made


async def prepare_soon(clock: Clock) -> None:
    """`prepare`, once the process has started."""
    await clock.sleep(SOON)
    await prepare()


async def prepare() -> None:
    """Compile the templates of all pages there are and read the words, in another thread: a tenth of a second or two
    that else the first to ask for a page would wait. A process without pages has nothing to do."""
    for language in LANGUAGES if ENVIRONMENTS else ():
        await asyncio.to_thread(_read_words, language)
    for environment in list(ENVIRONMENTS.values()):
        for name in environment.list_templates(extensions=["html"]):
            await asyncio.to_thread(environment.get_template, name)


def _read_words(language: Language) -> None:
    catalogue(language)
    format_datetime(datetime.fromtimestamp(0, UTC), WHEN[language]["day"], locale=language)


class Pages:
    """Renders the templates of a service in the shared layout."""

    def __init__(self, folder: Path) -> None:
        if folder not in ENVIRONMENTS:
            ENVIRONMENTS[folder] = _environment(folder)
        self._environment = ENVIRONMENTS[folder]

    def html(self, name: str, language: Language, zone: str = "UTC", **values: Any) -> str:
        """The page. Templates see `t(key, **values)`, `rich(key, **values)` for words with tags, `when(moment, form)`, `asset(name)`, `script(family)`, `language`
        and `other`."""

        def when(moment: datetime, form: str = "moment") -> str:
            return format_datetime(moment, WHEN[language][form], tzinfo=ZoneInfo(zone), locale=language)

        def rich(key: str, **values: object) -> Markup:
            return Markup(catalogue(language)[key]) % values  # noqa: S704, our own tags; values are escaped

        return self._environment.get_template(name).render(
            t=functools.partial(translate, language),
            rich=rich,
            when=when,
            language=language,
            other="en" if language == "zh" else "zh",
            **values,
        )


@functools.cache
def assets() -> Mapping[str, tuple[bytes, str]]:
    """Every static file, and the scripts if they are built: name → content and media type. Only these names exist."""
    kinds = {
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
        ".js": "text/javascript; charset=utf-8",
    }
    files = [path for folder in ("static", "dist") for path in (HERE / folder).glob("[!.]*")]
    return {path.name: (path.read_bytes(), kinds[path.suffix]) for path in files}


@functools.cache
def compressed(name: str) -> bytes:
    """A static file as gzip. Pages are not: they hold secrets beside words that others chose."""
    return gzip.compress(assets()[name][0], mtime=0)


@functools.cache
def version(name: str) -> str:
    """What changes in a static file's address when its content does. Raises KeyError for a name that is none."""
    return hashlib.sha256(assets()[name][0]).hexdigest()[:12]


def address(name: str) -> str:
    """Where a static file is. Raises KeyError for a name that is none."""
    return f"/static/{name}?v={version(name)}"


def script(family: str) -> Markup:
    """The tag of a page family's script; nothing where the scripts are not built (`make web`)."""
    name = f"{family}.js"
    return Markup('<script type="module" src="{}"></script>').format(address(name)) if name in assets() else Markup()
