"""The four services, in the order in which a person's words reach them."""

from services.analytics.app import SERVICE as ANALYTICS
from services.intake.app import SERVICE as INTAKE
from services.notify.app import SERVICE as NOTIFY
from services.routing.app import SERVICE as ROUTING

SERVICES = (INTAKE, ROUTING, NOTIFY, ANALYTICS)


def owner_of(path: str) -> str:
    """The service that answers a path: who names the longest beginning of it."""
    segments = _whole(path)
    named = [
        (len(own), service.name) for service in SERVICES for own in service.paths if segments.startswith(_whole(own))
    ]
    return max(named)[1]


def _whole(path: str) -> str:
    return f"{path.rstrip('/')}/"
