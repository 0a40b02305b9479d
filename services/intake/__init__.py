"""Intake takes feedback in.

Owns the feedback and the citizen's view of the case. Reacts to `case.*`, so that a citizen sees where it stands while
routing is down. Emits `feedback.*`: what the citizen said and did, as facts.
"""
