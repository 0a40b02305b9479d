"""Keys per case: never shared, never lost, held by part."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.clock import SystemIds
from shared.errors import Misconfigured, Unavailable
from shared.events.envelope import Sealed
from shared.store.port import Delete
from shared.store.sqlite import SqliteStore
from shared.vault.blocks import FIRST, KEYS
from shared.vault.vault import COLLECTIONS, FRESH, Unopenable, Vault, key_name
from tests.support.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.faults import FaultyStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "vault.db", COLLECTIONS, clock)
    yield store
    await store.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "huiyin.key"


@pytest.fixture
async def vault(store: SqliteStore, key_file: Path, clock: ManualClock) -> AsyncIterator[Vault]:
    vault = await Vault.open(store, key_file, SystemIds(clock), clock)
    yield vault
    await vault.close()


async def test_what_is_sealed_opens_as_the_same_field_of_the_same_case_only(vault: Vault) -> None:
    keys, other = await vault.draw(), await vault.draw()
    sealed = keys.seal("text", "text", "路灯坏了")
    assert keys.open(sealed, "text") == "路灯坏了"
    assert sealed.key == f"{keys.name}/text"
    assert key_name(sealed) == keys.name
    assert re.fullmatch(r"[0-9A-Z]{26}", keys.name)
    for field, opener in (("contact", keys), ("text", other)):
        with pytest.raises(Unopenable):
            opener.open(sealed, field)
    moved = Sealed(key=f"{other.name}/text", nonce=sealed.nonce, ct=sealed.ct)
    with pytest.raises(Unopenable):
        other.open(moved, "text")


@pytest.mark.parametrize(
    "change", [{"ct": "AAAA"}, {"ct": "!"}, {"nonce": ""}, {"nonce": "AAAAAAAAAAAAAAAA"}, {"key": "x"}]
)
async def test_changed_ciphertext_is_refused_without_saying_what_it_was(vault: Vault, change: dict[str, str]) -> None:
    keys = await vault.draw()
    sealed = keys.seal("reply", "text", "a secret").model_copy(update=change)
    with pytest.raises(Unopenable) as refused:
        keys.open(sealed, "text")
    assert "secret" not in str(refused.value)


async def test_the_same_words_never_look_the_same(vault: Vault) -> None:
    keys = await vault.draw()
    assert keys.seal("text", "text", "x") != keys.seal("text", "text", "x")


async def test_a_service_opens_only_the_parts_it_holds(vault: Vault) -> None:
    keys = await vault.draw()
    sealed = {part: keys.seal(part, "f", part) for part in ("text", "reply", "contact")}
    notify = (await vault.held_by(frozenset({"reply", "contact"})).fetch([keys.name]))[keys.name]
    assert notify.open(sealed["reply"], "f") == "reply"
    with pytest.raises(Unopenable):
        notify.open(sealed["text"], "f")
    with pytest.raises(Unopenable):
        notify.seal("text", "f", "words")
    nobody = (await vault.held_by(frozenset()).fetch([keys.name]))[keys.name]
    with pytest.raises(Unopenable):
        nobody.open(sealed["contact"], "f")


async def test_the_keys_of_a_case_come_back_after_a_restart(
    vault: Vault, store: SqliteStore, key_file: Path, clock: ManualClock
) -> None:
    keys = await vault.draw()
    sealed = keys.seal("contact", "contact", "王芳")
    again = await Vault.open(store, key_file, SystemIds(clock), clock)
    assert (await again.fetch([keys.name, "unknown"]))[keys.name].open(sealed, "contact") == "王芳"
    assert set(await again.fetch([keys.name, "unknown"])) == {keys.name}


async def test_no_two_draws_ever_give_the_same_keys(
    vault: Vault, store: SqliteStore, key_file: Path, clock: ManualClock
) -> None:
    drawn = await asyncio.gather(*(vault.draw() for _ in range(FIRST * 3)))
    again = await Vault.open(store, key_file, SystemIds(clock), clock)
    drawn += await asyncio.gather(*(again.draw() for _ in range(FIRST * 3)))
    assert len({keys.name for keys in drawn}) == FIRST * 6
    await again.close()


async def test_a_name_is_on_disk_before_it_is_drawn(vault: Vault, store: SqliteStore) -> None:
    keys = await vault.draw()
    assert keys.name in await store.get(KEYS.name, [keys.name])


async def test_no_key_lies_in_the_store_in_the_clear(vault: Vault, store: SqliteStore) -> None:
    keys = await vault.draw()
    body = (await store.get(KEYS.name, [keys.name]))[keys.name].body
    assert set(body) == {"text", "reply", "contact"}
    assert len(set(body.values())) == 3
    raw = {part: keys._ring.key(part) for part in body}
    assert not any(key.hex() in str(body) for key in raw.values())


async def test_destroyed_keys_are_absent_at_the_latest_after_a_minute(
    vault: Vault, store: SqliteStore, clock: ManualClock
) -> None:
    keys = await vault.draw()
    document = (await store.get(KEYS.name, [keys.name]))[keys.name]
    await store.write([Delete(KEYS.name, keys.name, document.revision)])
    clock.advance(FRESH + 1)
    assert await vault.fetch([keys.name]) == {}


async def test_drawing_survives_a_store_that_fails_now_and_then(
    store: SqliteStore, key_file: Path, clock: ManualClock
) -> None:
    faulty = FaultyStore(store, seed=7, refused=0.0, lost=0.0)
    vault = await Vault.open(faulty, key_file, SystemIds(clock), clock)
    faulty.faults.refused = 1.0
    with pytest.raises(Unavailable):
        await vault.draw()
    faulty.faults.refused, faulty.faults.lost = 0.0, 1.0
    with pytest.raises(Unavailable):
        await vault.draw()
    faulty.faults.heal()
    assert (await vault.draw()).name
    await vault.close()


async def test_digests_are_keyed_by_installation_and_purpose(
    vault: Vault, store: SqliteStore, key_file: Path, clock: ManualClock
) -> None:
    again = await Vault.open(store, key_file, SystemIds(clock), clock)
    digest = vault.digest("code", b"abc")
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert again.held_by(frozenset()).digest("code", b"abc") == digest
    assert vault.digest("key", b"abc") != digest
    assert vault.digest("code", b"abd") != digest


async def test_blocks_are_refilled_behind_the_callers_back(vault: Vault, store: SqliteStore) -> None:
    for _ in range(FIRST):
        await vault.draw()
    await eventually(lambda: len(vault._chest.blocks._free) > FIRST)


async def test_a_missing_key_file_beside_existing_keys_stops_the_start(
    vault: Vault, store: SqliteStore, key_file: Path, clock: ManualClock
) -> None:
    key_file.unlink()
    with pytest.raises(Misconfigured, match="is missing") as refused:
        await Vault.open(store, key_file, SystemIds(clock), clock)
    assert "\n" not in str(refused.value)
    assert not key_file.exists()


async def test_another_installations_key_file_stops_the_start(
    vault: Vault, store: SqliteStore, key_file: Path, clock: ManualClock
) -> None:
    key_file.chmod(0o600)
    key_file.write_bytes(bytes(32))
    with pytest.raises(Misconfigured, match="not the one"):
        await Vault.open(store, key_file, SystemIds(clock), clock)
