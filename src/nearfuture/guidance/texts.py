"""What the trajectories of a cache say, for a person to read.

Not here: its counts (`GuidanceCache.summary`), rows for other programs (`interop`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.table import Entry
from nearfuture.types import UserError


def shown_texts(cache: GuidanceCache, num: int, prompt_id: str | None = None) -> Iterator[str]:
    """Yield a heading and the text of some trajectories.

    Args:
        cache: whose entries.
        num: how many, from the first prompt on.
        prompt_id: all of this prompt instead.

    Raises:
        UserError: the cache has no such prompt.
    """
    if prompt_id is None:
        yield from map(_shown, islice(cache.entries(), num))
        return
    if prompt_id not in cache:
        ids = ", ".join(entry[0].prompt_id for entry in islice(cache.entries(), 3))
        raise UserError(f"the cache has no prompt {prompt_id!r}. Its prompts are {ids}, ... ({len(cache)} in all).")
    yield from (_shown(entry) for entry in cache.entries() if entry[0].prompt_id == prompt_id)


def _shown(entry: Entry) -> str:
    guidance, text = entry
    drawn = f"{guidance.num_correct} of {guidance.num_samples} samples correct" if guidance.num_samples else "imported"
    heading = f"{guidance.prompt_id}: step {guidance.guide_step}, {len(guidance.completion_ids)} tokens, {drawn}"
    return f"{heading}\n{text}"
