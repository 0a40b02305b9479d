"""From the log to a service's documents: a batch of one partition is read, folded per case, written once, guarded.

What is known to be the same after any crash, repetition or cut of the batches: every event takes effect in its case's
document exactly once and in order, and what cannot be taken waits, with everything of its case that comes after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.bus.port import PARTITIONS, EventBus, Record
from shared.clock import Clock, Ids
from shared.delivery.breaker import Breaker
from shared.delivery.dead_letters import DeadLetters
from shared.delivery.deltas import Chain, sum_of
from shared.delivery.folding import Fold, Work
from shared.delivery.gathering import Gatherer
from shared.delivery.parking import consumed, park
from shared.delivery.retry import persist
from shared.delivery.subscription import Subscription
from shared.errors import HuiyinError, NotDeclared, Unavailable
from shared.store.documents import TRIES as GUARDS
from shared.store.documents import Documents
from shared.store.port import Change, DocumentStore, Duplicate
from shared.telemetry.failpoints import failpoint
from shared.telemetry.logs import log
from shared.telemetry.metrics import APPLIED, BATCH_SECONDS, CONSUMED, GAPS_OVERDUE, REPEATED, STOPPED
from shared.vault.vault import Vault
