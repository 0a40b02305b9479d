"""Local days, weeks and hours of the organisation's zone, as figures are shown by them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from shared.clock import rfc3339


def in_zone(quarters: Mapping[str, int], by: str, zone: tzinfo) -> dict[str, int]:
    """Counts by hour or day of a zone; a key is the start of the hour or day, in UTC."""
    found: dict[str, int] = {}
    for quarter, n in quarters.items():
        local = datetime.fromisoformat(quarter).astimezone(zone)
        start = local.replace(minute=0) if by == "hour" else local.replace(hour=0, minute=0, fold=0)
        key = rfc3339(start.astimezone(UTC))
        found[key] = found.get(key, 0) + n
    return found


def start_of(day: date, zone: tzinfo) -> datetime:
    """The first moment of a local day, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def week_of(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def local_day(moment: datetime, zone: tzinfo) -> date:
    """The local day of a moment; at the ends of the calendar the nearest day there is."""
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return date.min if moment.year == 1 else date.max


def day_before(moment: datetime, zone: tzinfo) -> date:
    """The local day that ends at a moment, or that the moment is within."""
    try:
        return local_day(moment - timedelta(microseconds=1), zone)
    except OverflowError:
        return date.min
