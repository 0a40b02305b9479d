"""Analytics counts.

Owns figures: derived documents that can be built anew from the log at any time. Reacts to every event of a case. Emits
nothing.
"""
