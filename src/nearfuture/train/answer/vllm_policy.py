"""A model that answers questions, through vLLM: every request brings its own seed.

vLLM receives and returns token ids: prompts are tokenized and responses read as with transformers. By itself it would
add a second BOS before a prompt whose chat template begins with one.

Not here: transformers (`policy`), vLLM while a policy trains (`vllm_training`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import GenerationConfig

from nearfuture.train import placeholders, scoring
from nearfuture.train.adapters import base_of
from nearfuture.train.answer.decoding import Decoding, EngineSettings, Response, Row
from nearfuture.train.answer.policy import (
    as_blocks,
    cannot_load,
    load_processing,
    require_readable,
    response_of,
    stop_tokens,
)
from nearfuture.train.memory import collect
from nearfuture.train.needs import check_packages


class VLLMPolicy:
    """A policy in vLLM's engine; an adapter stays one, on its base.

    Args:
        model: folder (of a model or of an adapter) or name on the Hub.
        settings: the engine settings.

    Raises:
        UserError: vLLM is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str, settings: EngineSettings) -> None:
        check_packages({"use_vllm": True})
        import vllm
        from vllm.lora.request import LoRARequest

        base = base_of(model)
        self.adapter = None if base == model else LoRARequest("policy", 1, model)
        try:
            self.processing_class = load_processing(model, base, settings)
            self.llm = vllm.LLM(
                base,
                tokenizer=base,
                dtype=settings.dtype,
                trust_remote_code=settings.trust_remote_code,
                tensor_parallel_size=settings.vllm_tensor_parallel_size,
                gpu_memory_utilization=settings.vllm_gpu_memory_utilization,
                max_model_len=settings.vllm_max_model_length,
                enable_lora=self.adapter is not None,
                mm_processor_kwargs={"max_pixels": pixels} if (pixels := settings.max_image_pixels) else None,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise cannot_load(model, error) from None
        self._sampling_params = vllm.SamplingParams
        self.stops = self._stops(base, settings)

    def sample(self, rows: Sequence[Row], seeds: Sequence[int], decoding: Decoding) -> list[Response]:
        """Sample a response to each row; vLLM schedules the requests."""
        require_readable(self.processing_class, rows)
        requests = [request_of(self.processing_class, prompt) for prompt in scoring.prompts(rows)]
        params = [self._params(seed, decoding) for seed in seeds]
        outputs = self.llm.generate(requests, params, lora_request=self.adapter, use_tqdm=False)
        return [response_of(list(output.outputs[0].token_ids), self.stops, self.processing_class) for output in outputs]

    def _params(self, seed: int, decoding: Decoding) -> Any:
        return self._sampling_params(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k,
            min_p=decoding.min_p,
            repetition_penalty=decoding.repetition_penalty,
            presence_penalty=decoding.presence_penalty,
            max_tokens=decoding.max_completion_length,
            stop_token_ids=self.stops,
            seed=seed,
            **placeholders.bad_words(self.processing_class),
        )

    def _stops(self, base: str, settings: EngineSettings) -> list[int]:
        tokenizer = getattr(self.processing_class, "tokenizer", self.processing_class)
        try:
            declared = GenerationConfig.from_pretrained(base, trust_remote_code=settings.trust_remote_code)
        except OSError:  # a model without the file declares none
            declared = GenerationConfig()
        return stop_tokens(declared, tokenizer)

    def release(self) -> None:
        """End the engine, wherever it runs, and release its memory."""
        self.llm.llm_engine.engine_core.shutdown()
        self.__dict__.clear()
        collect()


def request_of(processing_class: Any, prompt: Any) -> Row:
    """Return a request for vLLM: the ids of a text, or of messages as the chat template writes them, and their images.

    An image is one placeholder here, which vLLM replaces by as many as the image needs.
    """
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    if isinstance(prompt, str):
        return {"prompt_token_ids": tokenizer(prompt)["input_ids"]}
    takes_images = hasattr(processing_class, "image_processor")
    text = processing_class.apply_chat_template(
        as_blocks(prompt) if takes_images else prompt, add_generation_prompt=True, tokenize=False
    )
    images = [
        block["image"]
        for message in prompt
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "image"
    ]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return {"prompt_token_ids": ids, **({"multi_modal_data": {"image": images}} if images else {})}
