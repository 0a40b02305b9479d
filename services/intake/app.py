"""Intake, put together: the way in, and the citizen's view that follows the case."""

from __future__ import annotations

from services.intake.api import audit, door, router
from services.intake.channels import batch, follow_ups
from services.intake.channels.lookups import Lookups
from services.intake.handlers.contacts import Contacts
from services.intake.handlers.reception import Reception
from services.intake.handlers.submitter import Submitter
from services.intake.handlers.views import open_view, show_progress
from services.intake.pages import contact, following, phone, privacy, submitting
from services.intake.pages.site import Site, static_files
from services.intake.settings import IntakeSettings
from services.intake.store import AUDIT, FEEDBACK, VIEWS, Feedbacks, Looks, Views
from shared.delivery.organisation import COLLECTION as ORGANISATION
from shared.delivery.organisation import OrganisationCopy, keep_organisation
from shared.events import routing as events
from shared.events.intake import (
    FeedbackRated,
    FeedbackReceived,
    FeedbackReopened,
    FeedbackSupplemented,
    FeedbackWithdrawn,
)
from shared.http.rates import Rate
from shared.service import Platform, Service, Wiring, on


def build(platform: Platform) -> Wiring:
    """Intake over the platform's parts, with `INTAKE_*` from the environment."""
    settings = IntakeSettings()
    store, clock, ids, vault = platform.store, platform.clock, platform.ids, platform.vault
    organisation = OrganisationCopy(store, clock)
    feedbacks, views, looks = Feedbacks(store, clock), Views(store, clock), Looks(store, clock)
    contacts = Contacts(feedbacks, views, looks, organisation, vault, clock, ids)
    reception = Reception(feedbacks, vault, organisation, clock, ids)
    submitter = Submitter(feedbacks, views, vault, clock, ids)
    rate, base = Rate(settings.rate, clock), platform.settings.link_base
    lookups = Lookups(submitter, clock, limited=settings.rate != "off")
    submit = door(reception, platform.access, rate, base)
    site = Site(organisation)
    return Wiring(
        routers=[
            submitting.router(reception, views, site, rate, ids, base),
            following.router(submitter, lookups, site, clock, ids),
            privacy.router(site),
            contact.router(contacts, site),
            phone.router(reception, site, ids),
            static_files(),
            batch.router(reception, clock),
            follow_ups.router(reception, submitter, clock),
            router(submitter, lookups, submit),
            audit(looks),
        ],
        doors={("POST", "/v1/feedback"): submit},
        documents={"case": views, "organisation": organisation.documents},
        ready=organisation.ready,
        stray=site.tell,
    )


SERVICE = Service(
    name="intake",
    purpose="takes feedback in; gives a number and a code; shows the citizen where it stands",
    collections=(FEEDBACK, VIEWS, AUDIT, ORGANISATION),
    subscriptions=(
        on(FeedbackReceived, open_view),
        on(events.CaseTriaged, show_progress),
        on(events.CaseRouted, show_progress),
        on(events.CaseAccepted, show_progress),
        on(events.CaseStarted, show_progress),
        on(events.CaseReturned, show_progress),
        on(events.CaseReassigned, show_progress),
        on(events.CaseAwaitingCitizen, show_progress),
        on(events.CaseResumed, show_progress),
        on(events.CaseAnswered, show_progress),
        on(events.CaseClosed, show_progress),
        on(events.CaseReopened, show_progress),
        on(events.CaseWithdrawn, show_progress),
        on(events.CaseRescheduled, show_progress),
        on(events.OrganisationPublished, keep_organisation),
    ),
    emits=(FeedbackReceived, FeedbackSupplemented, FeedbackRated, FeedbackReopened, FeedbackWithdrawn),
    build=build,
    port=8081,
    paths=("/",),
    needs_log=False,
    opens=frozenset({"text", "reply", "contact"}),
)
