"""The sample: thirty days of an imaginary town, taken in at the first start so that they end there.

The mark says when they end; the script is what happened; playing takes it in, and again after a crash.
"""

from services.sample.mark import is_unfinished
from services.sample.playing import Sample

__all__ = ["Sample", "is_unfinished"]
