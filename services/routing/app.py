"""How routing is put together, and what it does about which event."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from services.routing import pages
from services.routing.api import batch, router, session, similar, users
from services.routing.classifier import Classifier
from services.routing.domain.organisation import Organisation
from services.routing.domain.organisation_file import read_organisation
from services.routing.domain.terms import Terms
from services.routing.handlers import (
    Desk,
    Knowledge,
    Likeness,
    announce_organisation,
    fire_timer,
    foretelling,
    hear_citizen,
    open_case,
    reopen_case,
    reschedule_cases,
    take_rating,
    withdraw_case,
)
from services.routing.settings import SAMPLE
from services.routing.store import CASES, SOURCE, Cases, sources
from shared.errors import Misconfigured
from shared.events import routing as events
from shared.events.intake import (
    FeedbackRated,
    FeedbackReceived,
    FeedbackReopened,
    FeedbackSupplemented,
    FeedbackWithdrawn,
)
from shared.service import Platform, Service, Timer, Wiring, on


def load_organisation(path: Path) -> Organisation:
    """The organisation in a file. Raises `Misconfigured`, one line that names the file and what is wrong."""
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise Misconfigured(f"{path}: the organisation file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path}: the organisation file is not UTF-8") from None
    return read_organisation(text, str(path), hashlib.sha256(content).hexdigest())


def build(platform: Platform) -> Wiring:
    """Routing over the platform's parts."""
    organisation = load_organisation(platform.settings.organisation or SAMPLE)
    terms = Terms(partial(platform.vault.digest, "search"))
    knowledge = Knowledge(organisation, Classifier.of(organisation), terms)
    cases = Cases(platform.store, platform.clock, organisation)
    announced = sources(platform.store, platform.clock)
    desk = Desk(cases, platform.vault, organisation, platform.clock, terms)
    likeness = Likeness(cases, terms)
    foresee = foretelling(knowledge, platform.clock)
    return Wiring(
        routers=[
            batch.router(cases, desk, organisation, platform.clock),
            router(cases, desk, organisation),
            session.router(platform.access),
            users.router(platform.access, organisation),
            similar.router(likeness, foresee, desk),
            pages.router(cases, desk, foresee, likeness, organisation, platform),
        ],
        documents={"case": cases.documents},
        knows=lambda: knowledge,
        timers=[Timer(cases.documents, fire_timer)],
        jobs=[lambda: reschedule_cases(cases, announced, organisation, platform.clock)],
        start=lambda: announce_organisation(announced, organisation, platform.clock),
    )


SERVICE = Service(
    name="routing",
    purpose="opens the case, decides who answers and by when; the desk",
    collections=(CASES, SOURCE),
    subscriptions=(
        on(FeedbackReceived, open_case, opens=("text", "place")),
        on(FeedbackSupplemented, hear_citizen, opens="message"),
        on(FeedbackRated, take_rating, opens="comment"),
        on(FeedbackReopened, reopen_case, opens="reason"),
        on(FeedbackWithdrawn, withdraw_case, opens="reason"),
    ),
    emits=(
        events.CaseTriaged,
        events.CaseRouted,
        events.CaseAccepted,
        events.CaseStarted,
        events.CaseReturned,
        events.CaseReassigned,
        events.CaseAwaitingCitizen,
        events.CaseResumed,
        events.CaseSupplemented,
        events.CaseAnswered,
        events.CaseClosed,
        events.CaseReopened,
        events.CaseWithdrawn,
        events.CaseNoted,
        events.CaseOverdue,
        events.CaseRescheduled,
        events.OrganisationPublished,
    ),
    build=build,
    port=8082,
    paths=(
        "/desk",
        "/sign-in",
        "/sign-out",
        "/v1/session",
        "/v1/cases",
        "/v1/categories",
        "/v1/departments",
        "/v1/areas",
        "/v1/similar",
    ),
    opens=frozenset({"text", "reply"}),
)
