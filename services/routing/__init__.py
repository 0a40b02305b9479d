"""Routing opens the case, decides who answers and by when.

owns      cases (one document per case), and the organisation that works on them
consumes  feedback.received · supplemented · rated · reopened · withdrawn
emits     case.* and organisation.published
"""
