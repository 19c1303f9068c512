"""Whether prompts fit into the positions that a model has: its `max_position_embeddings`.

TRL passes on prompts of any length. One that is too long fails late, as an index error or for want of memory, or has
positions that the model was never trained on.

Not here: leaving longer prompts out (`nearfuture.train.vision.lengths`), how much memory they take
(`nearfuture.lab.forecast`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig

from nearfuture.tasks.identity import images_of
from nearfuture.train.adapters import base_of
from nearfuture.train.vision.lengths import light, prompt_lengths
from nearfuture.types import UserError


@dataclass(frozen=True)
class Beyond:
    """Prompts that, with the longest completion, have more tokens than a model has positions.

    Attributes:
        lengths: tokens of each of these prompts.
        num_prompts: all prompts that were looked at.
        limit: the positions.
        completion: `max_completion_length`.
    """

    lengths: list[int]
    num_prompts: int
    limit: int
    completion: int

    def refuse(self, model: str) -> None:
        """Refuse prompts that leave no room for an answer.

        Raises:
            UserError: how many there are, the longest, the limit, and the remedy.
        """
        if too_long := [length for length in self.lengths if length >= self.limit]:
            raise UserError(
                f"{len(too_long):,} of {self.num_prompts:,} prompts have no room for an answer in model={model}: the "
                f"longest has {max(too_long):,} tokens, and its max_position_embeddings are {self.limit:,}. "
                f"{self.remedy()}, or take a model with more positions."
            )

    def note(self) -> str | None:
        """Say that prompts leave less room than the longest completion; None if there are none."""
        if not self.lengths:
            return None
        return (
            f"{len(self.lengths):,} of {self.num_prompts:,} prompts leave less room than max_completion_length="
            f"{self.completion:,} (the longest has {max(self.lengths):,} tokens, the model's max_position_embeddings "
            f"are {self.limit:,}): a long answer runs beyond them. {self.remedy()}, or lower max_completion_length"
        )

    def remedy(self) -> str:
        """What leaves these prompts out."""
        room = self.limit - self.completion
        if room < 1:
            return f"Lower max_completion_length={self.completion:,}, and set max_prompt_length below what it leaves"
        return f"Leave them out with max_prompt_length={room}"


def position_limit(config: Any) -> int | None:
    """Return how many positions a model has, by its configuration; None if it does not say.

    A scaling of rotary positions that the number does not include (YaRN) is counted in.
    """
    text = config.get_text_config()
    limit = getattr(text, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    scaling = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    factor = scaling.get("factor") if isinstance(scaling, Mapping) else None
    if not isinstance(factor, int | float):
        return limit
    return max(limit, int(factor * (scaling.get("original_max_position_embeddings") or limit)))


def limit_of(model: str, settings: Mapping[str, Any]) -> int | None:
    """Return the `position_limit` of a model, read without its weights.

    Args:
        model: folder or name on the Hub.
        settings: fields of TRL's `ModelConfig`.
    """
    where = {"trust_remote_code": bool(settings.get("trust_remote_code"))}
    if "model_revision" in settings:
        where["revision"] = settings["model_revision"]
    return position_limit(AutoConfig.from_pretrained(base_of(model), **where))


def beyond(processor: Any, rows: Any, limit: int, completion: int) -> Beyond:
    """Find the prompts that do not leave room for a completion.

    No tokenizer makes more tokens than there are bytes, so only prompts with images or with many bytes are tokenized.

    Args:
        processor: processor or tokenizer of the model.
        rows: with `prompt`.
        limit: the positions.
        completion: tokens of the longest completion.
    """
    looked = light(rows)
    if not len(looked):
        return Beyond([], 0, limit, completion)
    frame = prompt_lengths(processor, looked[:1])[0]  # what the template adds, at most
    room = limit - completion
    may_be_long = [row for row in looked if images_of(row) or _num_bytes(row["prompt"]) + frame > room]
    found = [length for length in prompt_lengths(processor, may_be_long) if length > room] if may_be_long else []
    return Beyond(found, len(looked), limit, completion)


def _num_bytes(prompt: Any) -> int:
    return len(str(prompt).encode("utf-8", "replace"))
