"""A model that answers questions, through transformers: loaded without data, optimizer or trainer.

Prompts are tokenized as TRL tokenizes them in training: a text unchanged, messages by the chat template with the
generation prompt, images inside the messages. With several processes each samples its share of the rows, and all get
all responses.

Every row has its own random numbers, so that a question draws the same in any batch. transformers draws a whole batch
from one generator; here a last logits processor picks the token: with e ~ Exp(1) from the row's generator, argmax p / e
has the law of p (the exponential race), and only that token is left to draw from. The random numbers of a row are a
function of its seed; its logits may differ in the last digit between batches.

Not here: vLLM (`vllm_policy`), training's own engine (`engine`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from trl.data_utils import is_conversational
from trl.trainer.utils import create_model_from_path

from nearfuture.refusals import is_a_librarys
from nearfuture.train import placeholders, processes, scoring
from nearfuture.train.adapters import base_of
from nearfuture.train.answer.decoding import Decoding, EngineSettings, Response, Row
from nearfuture.train.memory import collect
from nearfuture.train.vision.lengths import require_template
from nearfuture.train.vision.processor import limit_pixels, load_processing_class
from nearfuture.types import UserError


class TransformersPolicy:
    """A policy in this process.

    Args:
        model: folder (of a model or of an adapter) or name on the Hub.
        settings: the engine settings.

    Raises:
        UserError: it cannot be loaded.
    """

    def __init__(self, model: str, settings: EngineSettings) -> None:
        self.device = PartialState().device
        placed = None if self.device.type == "cpu" else {"": self.device}
        options = {"dtype": settings.dtype, "device_map": placed, "trust_remote_code": settings.trust_remote_code}
        base = base_of(model)
        try:
            self.processing_class = load_processing(model, base, settings)
            loaded = create_model_from_path(base, **options)
            if base != model:
                loaded = PeftModel.from_pretrained(loaded, model).merge_and_unload()
        except Exception as error:
            if not is_a_librarys(error):
                raise
            raise cannot_load(model, error) from None
        self.model = loaded.eval()
        self.tokenizer = getattr(self.processing_class, "tokenizer", self.processing_class)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.stops = stop_tokens(self.model.generation_config, self.tokenizer)

    def sample(self, rows: Sequence[Row], seeds: Sequence[int], decoding: Decoding) -> list[Response]:
        """Sample a response to each row; called by all processes with the same rows, which all get all responses."""
        mine = processes.my_share(len(rows))
        responses = self._sample([rows[i] for i in mine], [seeds[i] for i in mine], decoding)
        return gather_object(responses)[: len(rows)]

    @torch.no_grad()
    def _sample(self, rows: Sequence[Row], seeds: Sequence[int], decoding: Decoding) -> list[Response]:
        inputs = encode(self.processing_class, rows).to(self.device)
        length = inputs["input_ids"].shape[1]
        penalty = decoding.presence_penalty
        ids = self.model.generate(
            **inputs,
            generation_config=self._generation_config(decoding),
            logits_processor=[PresencePenalty(penalty, length)] if penalty else None,
            custom_generate=functools.partial(sample_by_row, seeds=seeds) if decoding.temperature else None,
        )
        return [response_of(row, self.stops, self.processing_class) for row in ids[:, length:].tolist()]

    def _generation_config(self, decoding: Decoding) -> GenerationConfig:
        drawn: Row = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "min_p": None}
        if decoding.temperature:
            drawn = {"do_sample": True, "temperature": decoding.temperature, "top_p": decoding.top_p}
            drawn |= {"top_k": decoding.top_k, "min_p": decoding.min_p or None}
        return GenerationConfig(
            **drawn,
            max_new_tokens=decoding.max_completion_length,
            repetition_penalty=decoding.repetition_penalty,
            eos_token_id=self.stops,
            suppress_tokens=placeholders.ids_of(self.processing_class) or None,
            pad_token_id=self.tokenizer.pad_token_id,
            bos_token_id=self.tokenizer.bos_token_id,
        )

    def release(self) -> None:
        """Release the weights."""
        self.__dict__.clear()
        collect()


def load_processing(model: str, base: str, settings: EngineSettings) -> Any:
    """Return the processor or tokenizer of a model: its own, or its base's if a checkpoint has none."""
    options = {"padding_side": "left", "trust_remote_code": settings.trust_remote_code}
    has_own = not Path(model).is_dir() or any(Path(model).glob("tokenizer*"))
    found = load_processing_class(model if has_own and base == model else base, **options)
    if settings.max_image_pixels is not None:
        limit_pixels(found, model, settings.max_image_pixels)
    return found


def stop_tokens(generation_config: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end a response: those that the model declares, and its tokenizer's."""
    declared = generation_config.eos_token_id
    ids = [declared] if isinstance(declared, int) else list(declared or [])
    own = tokenizer.eos_token_id
    return ids if own is None or own in ids else [own, *ids]


def response_of(ids: list[int], stops: Sequence[int], processing_class: Any) -> Response:
    """Return what was written up to the first stop token; without one the response was cut off."""
    end = next((i + 1 for i, token in enumerate(ids) if token in stops), None)
    kept = ids[:end]
    text = processing_class.batch_decode([kept], skip_special_tokens=True)[0]
    return Response(text, len(kept), end is None)


def require_readable(processing_class: Any, rows: Sequence[Row]) -> None:
    """Refuse questions that the model cannot be asked.

    Raises:
        UserError: they are messages but the model has no chat template, or have images but it takes none.
    """
    if any(row.get("images") for row in rows) and not hasattr(processing_class, "image_processor"):
        raise UserError("the questions have images, and this model takes none. Evaluate a vision-language model.")
    require_template(processing_class, rows)


def encode(processing_class: Any, rows: Sequence[Row]) -> Any:
    """Tokenize prompts as training does, left-padded.

    Raises:
        UserError: the prompts are messages but the model has no chat template, or have images but it takes none.
    """
    require_readable(processing_class, rows)
    prompts = scoring.prompts(rows)
    if not is_conversational({"prompt": prompts[0]}):
        return processing_class(text=prompts, padding=True, padding_side="left", return_tensors="pt")
    takes_images = hasattr(processing_class, "image_processor")
    padding: Row = {"padding": True}
    return processing_class.apply_chat_template(
        [as_blocks(prompt) for prompt in prompts] if takes_images else prompts,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        **({"processor_kwargs": padding} if takes_images else padding),
    )


def as_blocks(messages: Sequence[Row]) -> list[Row]:
    """Return messages whose content is a list of blocks, as processors expect; texts become one block."""
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message["content"], str)
        else message
        for message in messages
    ]


def cannot_load(model: str, error: Exception) -> UserError:
    """The error that a user sees if a model does not load."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(
        f"{model} cannot be loaded: {first} Name a run folder, RUN@STEP, the folder of a model in the Hugging Face "
        "layout, or its name on the Hub."
    )


class DrawByRow(LogitsProcessor):
    """Leaves each row the one token that its own generator draws.

    Args:
        seeds: one per row.
        device: where the logits are.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Set [B, V] scores to -inf everywhere except at the drawn token."""
        noise = torch.stack([torch.empty_like(scores[0]).exponential_(generator=g) for g in self.generators])
        drawn = (scores.softmax(-1) / noise).argmax(-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


class PresencePenalty(LogitsProcessor):
    """Subtracts a constant from the logits of all tokens that the response contains already, as vLLM does.

    Args:
        penalty: the amount to subtract, in logits.
        prompt_length: padded length of the prompts, which do not count.
    """

    def __init__(self, penalty: float, prompt_length: int) -> None:
        self.penalty, self.prompt_length = penalty, prompt_length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Lower [B, V] logits where a token was written before."""
        is_present = torch.zeros_like(scores, dtype=torch.bool).scatter(1, input_ids[:, self.prompt_length :], True)
        return scores - self.penalty * is_present


def sample_by_row(model: Any, input_ids: Tensor, logits_processor: Any, seeds: Sequence[int], **kwargs: Any) -> Any:
    """Sample as transformers does, each row from its own seed; transformers' `custom_generate`."""
    draw = DrawByRow(seeds, input_ids.device)
    return model._sample(input_ids, logits_processor=LogitsProcessorList([*logits_processor, draw]), **kwargs)
