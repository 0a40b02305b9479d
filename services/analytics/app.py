"""Analytics, put together: every event of a case is counted; nothing is emitted."""

from __future__ import annotations

from services.analytics import api, pages
from services.analytics.handlers import Insights, count_case, count_feedback
from services.analytics.settings import AnalyticsSettings
from services.analytics.store import CASES, Counts
from shared.delivery.deltas import COLLECTION as DELTAS
from shared.delivery.organisation import COLLECTION as ORGANISATION
from shared.delivery.organisation import OrganisationCopy, keep_organisation
from shared.delivery.subscription import counting
from shared.events import routing as events
from shared.events.intake import FeedbackReceived
from shared.service import Platform, Service, Wiring, on


def build(platform: Platform) -> Wiring:
    """Analytics over the platform's parts, with `ANALYTICS_*` from the environment."""
    settings = AnalyticsSettings()
    organisation = OrganisationCopy(platform.store, platform.clock)
    counts = Counts(platform.store, platform.clock)
    insights = Insights(counts, organisation, platform.clock, settings.smallest, settings.target)
    return Wiring(
        routers=[api.router(insights), pages.router(insights)],
        documents={"case": counts.cases, "organisation": organisation.documents},
        ready=organisation.ready,
    )


SERVICE = Service(
    name="analytics",
    purpose="counts, rates, topics; read-only views of everyone's events",
    collections=(CASES, DELTAS, ORGANISATION),
    subscriptions=(
        counting(FeedbackReceived, count_feedback),
        counting(events.CaseTriaged, count_case),
        counting(events.CaseRouted, count_case),
        counting(events.CaseAccepted, count_case),
        counting(events.CaseStarted, count_case),
        counting(events.CaseReturned, count_case),
        counting(events.CaseReassigned, count_case),
        counting(events.CaseAwaitingCitizen, count_case),
        counting(events.CaseResumed, count_case),
        counting(events.CaseAnswered, count_case),
        counting(events.CaseClosed, count_case),
        counting(events.CaseReopened, count_case),
        counting(events.CaseWithdrawn, count_case),
        counting(events.CaseOverdue, count_case),
        counting(events.CaseRescheduled, count_case),
        on(events.OrganisationPublished, keep_organisation),
    ),
    emits=(),
    build=build,
    port=8084,
    paths=("/insights", "/v1/insights"),
)
