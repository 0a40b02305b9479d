from __future__ import annotations

from shared.delivery.deltas import sum_of, walk
from shared.store.port import Document


def delta(start: int, end: int) -> Document:
    return Document(f"0:{start}", 1, {"from": start, "to": end})


def test_a_sum_has_no_cells_that_come_to_nothing() -> None:
    assert sum_of([{"a": 1, "b": 2}, {"a": -1}, {"b": 1, "c": 0}]) == {"b": 3}


def test_a_chain_is_walked_from_link_to_link_and_ends_where_none_follows() -> None:
    links = [delta(0, 3), delta(1, 2), delta(3, 7), delta(9, 12)]
    chain, end = walk(links)
    assert [link.id for link in chain] == ["0:0", "0:3"]
    assert end == 7
    assert walk([delta(4, 5)]) == ([], 0)
