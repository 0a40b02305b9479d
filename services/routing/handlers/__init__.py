"""What routing does: `cases` one function per event, `desk` one method per call of the staff, `organisation` what a new
file brings, `foretelling` what would become of words that are not sent yet, `likeness` which cases are like something."""

from services.routing.handlers.cases import (
    Knowledge,
    fire_timer,
    hear_citizen,
    open_case,
    reopen_case,
    take_rating,
    withdraw_case,
)
from services.routing.handlers.desk import Call, Desk, Found, Opened, Past
from services.routing.handlers.foretelling import Foreteller, Foretold, foretelling
from services.routing.handlers.likeness import Alike, Likeness
from services.routing.handlers.organisation import announce_organisation, reschedule_cases

__all__ = [
    "Alike",
    "Call",
    "Desk",
    "Foreteller",
    "Foretold",
    "Found",
    "Knowledge",
    "Likeness",
    "Opened",
    "Past",
    "announce_organisation",
    "fire_timer",
    "foretelling",
    "hear_citizen",
    "open_case",
    "reopen_case",
    "reschedule_cases",
    "take_rating",
    "withdraw_case",
]
