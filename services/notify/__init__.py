"""Notify tells people, once, on their channel: the citizen what became of the case, the department what came to it.

Owns the deliveries (one document per case) and the departments' digests. Reacts to `feedback.received` and `case.*`,
emits `delivery.sent`, `delivery.failed` and `delivery.dead`. Read next: `app.py`.
"""
