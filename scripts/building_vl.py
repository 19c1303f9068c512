"""What a build script with images needs: a tiny Qwen3-VL, its processor, inputs and labels.

What it leaves out: text alone, training and writing (building.py), the world (build_shapes.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from building import IGNORED, build_tokenizer
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from nearfuture.train.answer import policy
from nearfuture.train.vision.processor import Qwen3VLProcessor

VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
TEMPLATE = (
    "{%- for message in messages %}{%- if message.content is string %}{{- message.content }}{%- else %}"
    "{%- for part in message.content %}{%- if part.type == 'image' %}"
    "{{- '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- elif part.type == 'text' %}{{- part.text }}{%- endif %}{%- endfor %}{%- endif %}{%- endfor %}"
)
PATCH, MERGE = 8, 2


def build_processor(symbols: str) -> Qwen3VLProcessor:
    """One token per character; patches of 8 pixels, four of which become a token."""
    tokenizer = build_tokenizer(symbols, VISION)
    size = {"shortest_edge": (PATCH * MERGE) ** 2, "longest_edge": 128 * 128}
    patches = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 1, "size": size}
    processor = Qwen3VLProcessor(Qwen2VLImageProcessorPil(**patches), tokenizer, chat_template=TEMPLATE)
    videos = {"video_processor_type": "Qwen3VLVideoProcessor", **patches}  # the stock processor wants one
    processor.video_settings = json.dumps(videos, indent=2) + "\n"
    return processor


def build_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLForConditionalGeneration:
    """A tiny Qwen3-VL: three layers of text, three of vision, one of which also feeds the text (deepstack)."""
    token_id = tokenizer.convert_tokens_to_ids
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 24,
        "max_position_embeddings": 256,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e4,
            "mrope_section": [4, 4, 4],
            "mrope_interleaved": True,
        },
        "initializer_range": 0.08,
        "tie_word_embeddings": True,
        **special,
    }
    vision = {
        "depth": 3,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 4,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 1,
        "out_hidden_size": 96,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [1],
        "initializer_range": 0.08,
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
        dtype="float32",
        **special,
    )
    model = Qwen3VLForConditionalGeneration(config).float()
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, **special)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    return model


def encode(
    processor: Any, rows: Sequence[dict[str, Any]], answers: Sequence[str]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Inputs of the model and labels; prompts are padded on the left, so that all answers begin at one place."""
    inputs, tokenizer = dict(policy.encode(processor, rows)), processor.tokenizer
    texts = [f"{answer}{tokenizer.eos_token}" for answer in answers]
    answered = tokenizer(texts, padding=True, padding_side="right", add_special_tokens=False, return_tensors="pt")
    ids, mask = answered["input_ids"], answered["attention_mask"]
    labels = torch.cat([torch.full_like(inputs["input_ids"], IGNORED), ids.masked_fill(mask == 0, IGNORED)], 1)
    inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(ids)], 1)
    inputs["attention_mask"] = torch.cat([inputs["attention_mask"], mask], 1)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], 1)
    return inputs, labels
