"""Deliberate mistakes. Each is a small change to the text of one function of the product; the simulation has to see it.

A mutation whose text is not found any more fails loudly: the code has changed, and the mistake has to be made anew.
"""

from __future__ import annotations
import __future__

import contextlib
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutation:
    """`where` is `module:function` or `module:Class.method`; in its text `right` becomes `wrong`."""

    name: str
    where: str
    right: str
    wrong: str


MUTATIONS = (
    Mutation(
        "no idempotency key",
        "services.intake.handlers.digests:key_hash",
        'f"{scope}\\0{key}".encode()',
        'f"{scope}\\0{key}{vault._chest.ids.document()}".encode()',
    ),
    Mutation(
        "answered before the commit",
        "services.intake.handlers.reception:Reception.receive_many",
        "outcomes = await self.feedbacks.write([draft.insert for draft in drafts.values()])",
        "import asyncio; outcomes = [Done(1) for _ in drafts]; "
        "asyncio.get_running_loop().create_task(self.feedbacks.write([draft.insert for draft in drafts.values()]))",
    ),
    Mutation(
        "document and event in two commits",
        "shared.delivery.outbox:Outbox.write",
        "outcomes = await self._store.write(changes)",
        "from dataclasses import replace; from shared.store.port import Replace as R; "
        "outcomes = await self._store.write([replace(c, emit=()) if not isinstance(c, Delete) else c for c in changes]); "
        "second = [R(c.collection, c.id, o.revision, c.body, c.due, c.emit) for c, o in zip(changes, outcomes) "
        "if isinstance(o, Done) and not isinstance(c, Delete) and c.emit]; await self._store.write(second)",
    ),
    Mutation(
        "outbox cleared before the log has acknowledged",
        "shared.delivery.outbox:Outbox._publish",
        "await bus.publish(envelopes)",
        "await self._store.published([envelope.id for envelope in envelopes]); await bus.publish(envelopes)",
    ),
    Mutation(
        "events published out of order",
        "shared.delivery.outbox:Outbox._publish",
        "await bus.publish(envelopes)",
        "await bus.publish(envelopes[::-1])",
    ),
    Mutation(
        "repeated events applied again",
        "shared.delivery.folding:fold",
        "if envelope.sequence <= last:",
        "if False:",
    ),
    Mutation(
        "gaps ignored",
        "shared.delivery.folding:fold",
        "if envelope.sequence > last + 1:",
        "if False:",
    ),
    Mutation(
        "sequence taken from the revision",
        "shared.store.documents:Documents._envelopes",
        "enumerate(events, kept.sequence + 1)",
        "enumerate(events, kept.revision + 1)",
    ),
    Mutation(
        "position saved before the effects",
        "shared.bus.sqlite:SqliteBus._step",
        "await member.deliver(records)",
        "await self._save(group.name, {partition: following}); group.positions[partition] = following; "
        "await member.deliver(records)",
    ),
    Mutation(
        "documents written before the figures are committed",
        "shared.delivery.counting:Counting._append",
        "end = records[-1].offset + 1\n",
        "end = records[-1].offset + 1; folds = await write(folds, self._gatherer, end)\n",
    ),
    Mutation(
        "a delta off the chain",
        "shared.delivery.deltas:Chain.append",
        '"from": start,',
        '"from": start + (start > 0),',
    ),
    Mutation(
        "figures counted twice after a repetition",
        "shared.delivery.folding:fold",
        "result.repeated.append(item)",
        "result.repeated.append(item); again = item.subscription and item.subscription.counts and "
        "item.subscription.handler(None, item.event); again and result.adds.append((item, again.adds))",
    ),
    Mutation(
        "a timer fired before the log was read",
        "shared.delivery.timers:TimerLoop._look",
        "ready = [id for (id, _), bound in bounds.items() if positions[partition_of(id)] >= bound]",
        "ready = [id for (id, _), bound in bounds.items()]",
    ),
    Mutation(
        "writes without a guard",
        "shared.store.tables:Table._at_their_revision",
        "return [revisions.get(row.change.id) == _expected(row.change) for row in rows]",
        "return [row.change.id in revisions for row in rows]",
    ),
    Mutation(  # the pause gives others their turn; with the guard it does no harm
        "a timer without a guard",
        "shared.delivery.timers:TimerLoop._fire",
        "outcomes = await documents.write(changes) if changes else []",
        "import dataclasses; await self._clock.sleep(LOOK); found = await documents.get_many([c.id for c in changes]); "
        "outcomes = await documents.write("
        "[dataclasses.replace(c, revision=found[c.id].revision) for c in changes]) if changes else []",
    ),
    Mutation(
        "a timer that stays armed when it has fired",
        "services.routing.domain.case:_timers",
        "and not case.overdue and",
        "and",
    ),
    Mutation(
        "a key block drawn from again after a restart",
        "shared.vault.blocks:Blocks._make",
        "rings: list[Ring] = []\n",
        "old = await self._store.find(KEYS.name, __import__('shared.store.port', fromlist=['Query']).Query(limit=64))\n"
        "    if old.documents:\n"
        "        self._free.extend(Ring(d.id, self._wrapping, d.body, {}) for d in old.documents)\n"
        "        return\n"
        "    rings: list[Ring] = []\n",
    ),
    Mutation(
        "a letter under a new name each time",
        "services.notify.channels.letters:Letters.to_citizen",
        "delivery.id",
        'f"{delivery.id}-{delivery.progress.attempts}"',
    ),
    Mutation(
        "a provider that takes a repeated letter for another one",
        "tests.simulation.world:Post.take",
        "self.letters.setdefault(letter.id, letter)",
        'self.letters.setdefault(f"{letter.id} {self.handed_in[letter.id]}", letter)',
    ),
    Mutation(
        "a claim that nobody wrote down",
        "services.notify.channels.sender:Sender._tell_citizens",
        'if delivery.recipient_role == "citizen" and delivery.progress.lease_until == lease',
        'if delivery.recipient_role == "citizen" and delivery.progress.lease_until == lease and delivery.progress.attempts == 1',
    ),
)


@contextlib.contextmanager
def made(mutation: Mutation) -> Iterator[None]:
    """While inside, the product makes the mistake."""
    module_name, _, path = mutation.where.partition(":")
    module = importlib.import_module(module_name)
    owner_name, _, name = path.rpartition(".")
    owner: Any = getattr(module, owner_name) if owner_name else module
    original = inspect.unwrap(getattr(owner, name))
    text = textwrap.dedent(inspect.getsource(original))
    if text.count(mutation.right) != 1:
        raise LookupError(f"{mutation.name}: {mutation.where} does not say {mutation.right!r} exactly once")
    wrong = compile(
        text.replace(mutation.right, mutation.wrong),
        f"<{mutation.name}>",
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    space: dict[str, Any] = {}
    exec(wrong, module.__dict__, space)
    mistaken = space[name]
    holders = [(owner, name)] if owner_name else _holders(original)
    for holder, attribute in holders:
        setattr(holder, attribute, mistaken)
    try:
        yield
    finally:
        for holder, attribute in holders:
            setattr(holder, attribute, original)


def _holders(function: Any) -> list[tuple[Any, str]]:
    """Every module that has imported the function by name."""
    import sys

    return [
        (module, name)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith(("services.", "shared."))
        for name, value in list(vars(module).items())
        if value is function
    ]
