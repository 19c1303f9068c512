"""Generation for groups: a prompt is prepared and read once, and rows that have ended leave the batch.

    for every different prompt:  pad it, encode its images and read it once (TRL: `num_generations` times)
    for every token:             run the rows that have not ended           (TRL: all rows, until the last has ended)

TRL and transformers prepare (`generate(custom_generate=...)`) and pass their own logits processors and stopping
criteria. The random numbers are those of their loop: one per row and word of the vocabulary, whether the row has ended
or not. So on a CPU the same seed leaves the same random state and draws the same tokens, unless rounding depends on the
number of rows and flips one, which was never seen but is not ruled out. On a GPU their loop notices late that all rows
have ended and draws more, so only the law is the same.

Not here: everything around it (TRL's `_generate_single_turn`), other backends.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.generation import logits_process as processors
from transformers.generation import stopping_criteria as criteria
from trl import GRPOTrainer

from nearfuture.train.vision.once import OF_GRIDS, take_images

logger = logging.getLogger(__name__)

PER_ROW = {"attention_mask", "position_ids", "mm_token_type_ids"}
CACHE = ("cache", "past_key_values")
"""What transformers calls the cache: from 5.24 on, and before."""
SHARED = {*CACHE, "use_cache", "logits_to_keep", "mm_encoder_outputs"}
FIELDS = OF_GRIDS | {"mm_token_type_ids"}
CACHES_BY_ROW = {DynamicLayer, DynamicSlidingWindowLayer}
ROW_BY_ROW = {criteria.EosTokenCriteria, criteria.MaxLengthCriteria, processors.MinPLogitsWarper}
ROW_BY_ROW |= {processors.TemperatureLogitsWarper, processors.TopKLogitsWarper, processors.TopPLogitsWarper}
ROW_BY_ROW |= {processors.SuppressTokensLogitsProcessor}


Fields = dict[str, Any]


class NotRowByRowError(Exception):
    """Rows cannot be separated: a static cache, a penalty with a memory, an unknown argument. Says which."""


def generate(
    trainer: GRPOTrainer, turn: Callable[..., Any], prompt_ids: list[list[int]], images: Any, fields: Fields, *args: Any
) -> Any:
    """Call TRL's `turn` on the prompts, with each different one only once if that draws the same.

    Args:
        trainer: the trainer whose policy writes.
        turn: TRL's `_generate_single_turn`.
        prompt_ids: one prompt per row.
        images: the images of each row, or None.
        fields: the processor's fields of the prompts besides their ids.
        args: the other arguments of `turn`.
    """
    model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    if not (is_applicable(trainer, model) and set(fields) <= FIELDS):
        return turn(prompt_ids, images, fields, *args)
    prompt_of_row, first_rows = _distinct(prompt_ids, images)
    asked = [prompt_ids[row] for row in first_rows]
    their_images = None if images is None else [images[row] for row in first_rows]
    model.generate = functools.partial(model.generate, custom_generate=decode, prompt_of_row=prompt_of_row)
    try:
        return turn(asked, their_images, _fields_of(first_rows, images, fields), *args)
    except NotRowByRowError as error:
        _say_once(str(error))
    finally:
        del model.generate
    return turn(prompt_ids, images, fields, *args)


@functools.cache
def _say_once(reason: str) -> None:
    logger.warning("fast_generation has no effect: %s. TRL's own loop writes, which takes longer.", reason)


def _distinct(prompt_ids: list[list[int]], images: Any) -> tuple[Tensor, list[int]]:
    """[B] number of each row's prompt, and the first row of each prompt; equal images are the same objects."""
    numbers: dict[tuple[Any, ...], int] = {}
    first_rows: list[int] = []
    prompt_of_row = []
    for row, ids in enumerate(prompt_ids):
        key = (tuple(ids), tuple(map(id, (images[row] if images else None) or ())))
        if key not in numbers:
            numbers[key] = len(numbers)
            first_rows.append(row)
        prompt_of_row.append(numbers[key])
    return torch.tensor(prompt_of_row), first_rows


def _fields_of(rows: list[int], images: Any, fields: Fields) -> Fields:
    """Return the processor's fields for some of the rows."""
    chosen = {name: [value[row] for row in rows] for name, value in fields.items() if name not in OF_GRIDS}
    if not fields.keys() >= OF_GRIDS:
        return chosen
    ends = list(itertools.accumulate(len(row_images or ()) for row_images in images))
    numbers = [number for row in rows for number in range(ends[row] - len(images[row] or ()), ends[row])]
    return {**chosen, **take_images(fields["pixel_values"], fields["image_grid_thw"], numbers)}


def is_applicable(trainer: GRPOTrainer, model: nn.Module) -> bool:
    """False if TRL's path does more than sample row by row, or draws random numbers inside the model."""
    is_dropping = any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())
    return not (
        trainer.use_vllm
        or trainer.use_transformers_continuous_batching
        or trainer.is_deepspeed_enabled
        or trainer.is_fsdp_enabled
        or trainer.tools
        or trainer.args.generation_kwargs
        or getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False)
        or (model.training and (is_dropping or getattr(model.config, "attention_dropout", 0)))
    )


def decode(
    model: Any,
    input_ids: Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    prompt_of_row: Tensor,
    **kwargs: Any,
) -> Tensor:
    """Sample completions of left-padded prompts; transformers' `custom_generate`.

    Args:
        model: a causal language model, with or without a vision tower.
        input_ids: [P, L], each prompt once.
        logits_processor: (ids so far, logits) -> scores.
        stopping_criteria: (ids so far, None) -> [rows] bool.
        generation_config: as transformers prepared it.
        prompt_of_row: [B], number of the prompt of each row to write.
        kwargs: an empty cache, mask and positions [P, L], features of the images, flags.

    Returns:
        [B, L + longest completion], padded after the end of a completion.

    Raises:
        NotRowByRowError: before anything is drawn.
    """
    _require_row_by_row([*logits_processor, *stopping_criteria], kwargs)
    prompt_of_row = prompt_of_row.to(input_ids.device)
    num_rows, length = len(prompt_of_row), input_ids.shape[1]
    logits = _last_logits(model, input_ids, kwargs, is_first_iteration=True)[prompt_of_row]
    ids = _take(prompt_of_row, input_ids, kwargs)
    output = ids.new_full((num_rows, generation_config.max_length), int(generation_config._pad_token_tensor))
    output[:, :length] = ids
    writing = torch.arange(num_rows, device=ids.device)
    while True:
        scores = logits_processor(ids, logits)
        tokens = _draw(scores, writing, num_rows) if generation_config.do_sample else scores.argmax(-1)
        output[writing, length] = tokens
        length += 1
        ids = torch.cat([ids, tokens[:, None]], 1)
        goes_on = (~stopping_criteria(ids, None)).nonzero()[:, 0]
        if not len(goes_on):
            return output[:, :length]
        if len(goes_on) < len(ids):
            writing, ids = writing[goes_on], _take(goes_on, ids, kwargs)
        kwargs = model._update_model_kwargs_for_generation({}, kwargs)
        logits = _last_logits(model, ids, kwargs, next_sequence_length=1)


def _require_row_by_row(steps: list[Any], kwargs: dict[str, Any]) -> None:
    """Require that rows can be removed from every argument and from the cache without any processor noticing."""
    if unknown := set(kwargs) - PER_ROW - SHARED:
        raise NotRowByRowError(f"this transformers hands its loop {', '.join(sorted(unknown))}")
    if others := {*map(type, getattr(_cache(kwargs), "layers", [None]))} - CACHES_BY_ROW:
        raise NotRowByRowError(f"rows cannot leave a cache of {_names(others)}")
    if others := {*map(type, steps)} - ROW_BY_ROW:
        raise NotRowByRowError(f"{_names(others)} may look at other rows")


def _names(kinds: set[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))


def _cache(kwargs: dict[str, Any]) -> Any:
    """Return the cache, whatever this transformers calls it."""
    return next((kwargs[name] for name in CACHE if kwargs.get(name) is not None), None)


def _last_logits(model: Any, ids: Tensor, kwargs: dict[str, Any], **stage: Any) -> Tensor:
    """[rows, V] logits after the last token; the cache grows."""
    inputs = model.prepare_inputs_for_generation(ids, **stage, **kwargs)
    return model(**inputs, return_dict=True).logits[:, -1].float()


def _take(rows: Tensor, ids: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """Continue with these rows, also in the arguments."""
    for name in PER_ROW:
        if kwargs.get(name) is not None:
            kwargs[name] = kwargs[name][..., rows, :]  # the positions of a vision-language model are [4, rows, L]
    _cache(kwargs).batch_select_indices(rows)
    return ids[rows]


def _draw(scores: Tensor, writing: Tensor, num_rows: int) -> Tensor:
    """Draw one token per row, as `torch.multinomial` does for all rows: argmax of p / e with e ~ Exp(1)."""
    probs = scores.softmax(-1)
    noise = torch.empty(num_rows, probs.shape[1], dtype=probs.dtype, device=probs.device).exponential_()
    return (probs / noise[writing]).argmax(-1)
