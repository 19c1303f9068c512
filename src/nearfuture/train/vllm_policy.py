"""A model that answers questions, through vLLM: every request brings its own seed.

Written against vLLM's offline API (`LLM.generate`) as of 0.11; it could not be run where this was written, which had
neither vLLM nor a GPU for it.

Not here: transformers (`policy`), vLLM as TRL uses it while training.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from nearfuture.train import scoring
from nearfuture.train.decoding import Decoding, EngineSettings, Response, Row
from nearfuture.train.policy import as_blocks, base_of, cannot_load, load_processing, stop_tokens
from nearfuture.types import UserError


class VLLMPolicy:
    """A policy in vLLM's engine; an adapter stays one, on its base.

    Args:
        model: folder (of a model or of an adapter) or name on the Hub.
        settings: what it runs with.

    Raises:
        UserError: vLLM is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str, settings: EngineSettings) -> None:
        try:
            import vllm
            from vllm.lora.request import LoRARequest
        except ImportError:
            raise UserError(
                "use_vllm=true, and vLLM is not installed. Install it with `pip install 'nearfuture[vllm]'`, or leave "
                "use_vllm out to sample with transformers."
            ) from None
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
        requests = [self._request(prompt) for prompt in scoring.prompts(rows)]
        params = [self._params(seed, decoding) for seed in seeds]
        outputs = self.llm.generate(requests, params, lora_request=self.adapter, use_tqdm=False)
        written = [output.outputs[0] for output in outputs]
        return [Response(one.text, len(one.token_ids), one.finish_reason == "length") for one in written]

    def _request(self, prompt: Any) -> Row:
        """A text as it is; messages by the chat template, one placeholder an image, which vLLM fills."""
        if isinstance(prompt, str):
            return {"prompt": prompt}
        images = [
            block["image"]
            for message in prompt
            if isinstance(message["content"], list)
            for block in message["content"]
            if block["type"] == "image"
        ]
        takes_images = hasattr(self.processing_class, "image_processor")
        text = self.processing_class.apply_chat_template(
            as_blocks(prompt) if takes_images else prompt, add_generation_prompt=True, tokenize=False
        )
        return {"prompt": text, **({"multi_modal_data": {"image": images}} if images else {})}

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
        )

    def _stops(self, base: str, settings: EngineSettings) -> list[int]:
        tokenizer = getattr(self.processing_class, "tokenizer", self.processing_class)
        try:
            declared = GenerationConfig.from_pretrained(base, trust_remote_code=settings.trust_remote_code)
        except OSError:  # a model without the file declares none
            declared = GenerationConfig()
        return stop_tokens(declared, tokenizer)

    def release(self) -> None:
        """Let go of the engine's memory."""
        self.__dict__.clear()
        gc.collect()
        torch.cuda.empty_cache()
