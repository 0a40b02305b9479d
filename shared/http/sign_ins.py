"""Signing in with a password: the same answer and the same time for every wrong pair, and a few tries only."""

from __future__ import annotations

from shared.clock import Clock
from shared.errors import NotAuthorised
from shared.http.people import People, Person, fold
from shared.http.rates import Rate, neighbourhood
from shared.http.remembered import digest_of

TRIES = 10
MINUTES = 15
"""Wrong passwords for one name, and from one address (IPv6: one /64): a burst of so many, refilled in so long."""


class SignIns:
    """Who may try, and who gets in."""

    def __init__(self, people: People, clock: Clock) -> None:
        self._people = people
        self._rate = Rate(f"{TRIES}/{TRIES / (MINUTES * 60)}", clock)

    async def by_password(self, name: str, password: str, client: str) -> Person:
        """Raises `NotAuthorised` for a wrong pair, always the same, and `TooMany` with the seconds to wait.

        A try is counted before it is made, so that many at once are counted too, and given back when it was right: people
        behind one address do not use up each other's tries.
        """
        # A digest: names are as long as someone likes.
        account = f"account:{digest_of(fold(name)).hex()}"
        budgets = (f"address:{neighbourhood(client)}", account)
        for budget in budgets:
            self._rate.take(budget)
        person = await self._people.verified(name, password)
        if person is None:
            raise NotAuthorised("the name or the password is wrong")
        for budget in budgets:
            self._rate.give_back(budget)
        return person

    def admit(self, person: str) -> None:
        """Count a try of someone who is signed in to tell their password again. Raises `TooMany`."""
        self._rate.take(f"person:{person}")
