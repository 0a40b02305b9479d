"""Numbers, days and durations in the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent

from services.analytics.domain.cases import UNSPECIFIED
from services.analytics.domain.publicity import SUPPRESSED
from services.analytics.handlers.insights import labels
from shared.events.routing import Organisation
from shared.web.pages import Language, translate

DAYS = {
    "zh": {"day": "M 月 d 日", "long": "y 年 M 月 d 日 EEE", "moment": "M 月 d 日 HH:mm"},
    "en": {"day": "d MMM", "long": "EEE d MMM y", "moment": "d MMM, HH:mm"},
}

UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


class Telling:
    """How one page says things."""

    def __init__(self, language: Language, organisation: Organisation) -> None:
        self.language = language
        self.zone = ZoneInfo(organisation.time_zone)
        self._organisation = organisation

    def words(self, key: str, **values: object) -> str:
        return translate(self.language, f"insights.{key}", **values)

    def number(self, n: int) -> str:
        return format_decimal(n, locale=self.language)

    def percent(self, share: float) -> str:
        return format_percent(share, "0.#%", locale=self.language)

    def day(self, day: date, form: str = "day") -> str:
        return format_date(day, DAYS[self.language][form], locale=self.language)

    def moment(self, moment: datetime) -> str:
        return format_datetime(moment, DAYS[self.language]["moment"], tzinfo=self.zone, locale=self.language)

    def parts(self, seconds: float) -> list[tuple[str, str]]:
        """A duration as its two largest numbers, each with its unit."""
        left = max(60, round(seconds / 60) * 60)
        found: list[tuple[int, str]] = []
        for length, name in UNITS:
            n, left = divmod(left, length)
            if (n or found) and len(found) < 2:
                found.append((n, name))
        return [(self.number(n), self.words(f"unit.{name}")) for n, name in found if n or len(found) == 1]

    def duration(self, seconds: float) -> str:
        return " ".join(f"{n} {unit}" for n, unit in self.parts(seconds))

    def value(self, by: str) -> Callable[[str], str]:
        """The words of a dimension's values; of days and hours, when they begin."""
        own = labels(self._organisation, by, self.language)

        def say(key: str) -> str:
            if key in (SUPPRESSED, UNSPECIFIED):
                return self.words(key)
            if by == "day":
                return self.day(datetime.fromisoformat(key).astimezone(self.zone).date(), "long")
            if by == "hour":
                return self.moment(datetime.fromisoformat(key))
            if by in ("state", "kind", "channel"):
                try:
                    return translate(self.language, f"{by}.{key}")
                except KeyError:
                    return key
            return own(key)

        return say
