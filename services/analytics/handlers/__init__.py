"""What analytics does: `counting` counts events, `insights` answers questions about the sums."""

from services.analytics.handlers.counting import count_case, count_feedback
from services.analytics.handlers.insights import Insights

__all__ = ["Insights", "count_case", "count_feedback"]
