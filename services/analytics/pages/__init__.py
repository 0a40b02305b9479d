"""The pages of open figures, without JavaScript: what the public may see; staff who are signed in see everything."""

from services.analytics.pages.figures import router

__all__ = ["router"]
