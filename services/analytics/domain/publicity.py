"""What the public may see: no cell below the smallest number, and none that follows from the others."""

from __future__ import annotations

from collections.abc import Mapping

SUPPRESSED = "suppressed"


def suppressed(cells: Mapping[str, int], smallest: int) -> dict[str, int]:
    """The cells with every one below `smallest` merged into the key `suppressed`; the sum stays.

    Where the merged ones together are still below it, or there is only one, the next smallest join them: else it
    could be told from the total.
    """
    kept = {key: n for key, n in cells.items() if n}
    order = sorted(kept, key=lambda key: (kept[key], key))
    hidden: list[str] = []
    total = 0
    for key in order:
        small = kept[key] < smallest
        if not small and (not hidden or (total >= smallest and len(hidden) > 1)):
            break
        hidden.append(key)
        total += kept[key]
    if not hidden:
        return kept
    shown = {key: n for key, n in kept.items() if key not in set(hidden)}
    shown[SUPPRESSED] = total
    return shown
