"""A tiny Qwen3-VL with random weights, its processor, and prompts with images of two sizes, made in code.

    folder = save_model(tmp_path / "model")
    trainer = npo(tmp_path, folder, max_steps=3)

A prompt asks for the colour of a square; the model knows nothing, so that a reward by the parity of
the answer's length gives groups with both verdicts.

Not here: the world that ships with images (`nearfuture.tasks.worlds.shapes`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny
import torch
from datasets import Dataset
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from trl import GRPOConfig, GRPOTrainer

from nearfuture.tasks import Task
from nearfuture.train import NPOConfig, NPOTrainer
from nearfuture.train.vision.processor import Qwen3VLProcessor, load_for_training
from nearfuture.types import Verdict

VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
SPECIAL = ("<pad>", "<eos>", "<unk>", *VISION)
COLOURS = {"r": (220, 30, 30), "g": (30, 200, 30), "b": (30, 30, 220), "y": (230, 220, 40)}
SIZES = ((32, 32), (48, 32))
TEMPLATE = (
    "{% for message in messages %}{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
)


def build_processor() -> Qwen3VLProcessor:
    vocabulary = {symbol: i for i, symbol in enumerate([*SPECIAL, *"0123456789rgby?>"])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    raw.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        additional_special_tokens=list(VISION),
    )
    size = {"shortest_edge": 256, "longest_edge": 64 * 64}
    images = Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, temporal_patch_size=1, size=size)
    return Qwen3VLProcessor(images, tokenizer, chat_template=TEMPLATE)


def save_model(folder: Path, seed: int = 0) -> Path:
    """Write model and processor; about 60 thousand parameters."""
    processor = build_processor()
    token = processor.tokenizer.convert_tokens_to_ids
    special = {"pad_token_id": token("<pad>"), "eos_token_id": token("<eos>"), "bos_token_id": None}
    text = {
        "vocab_size": len(processor.tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 128,
        "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True},
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
        **special,
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 4,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 1,
        "out_hidden_size": 32,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
        "initializer_range": 0.2,
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        **special,
    )
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config).float()
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, **special)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def picture(colour: str, size: tuple[int, int], at: int) -> Image.Image:
    image = Image.new("RGB", size, (245, 245, 245))
    image.paste(COLOURS[colour], (4 + at, 4, 20 + at, 20))
    return image


def rows(num_prompts: int = 16, num_images: int = 1) -> list[dict[str, Any]]:
    """Prompts with one image (or several); sizes, colours and places vary."""
    names = list(COLOURS)
    found = []
    for i in range(num_prompts):
        images = [picture(names[(i + k) % 4], SIZES[(i + k) % 2], (i + k) // 4) for k in range(num_images)]
        content = [{"type": "image", "text": None}] * num_images + [{"type": "text", "text": f"{i % 10}?>"}]
        found.append(
            {
                "prompt": [{"role": "user", "content": content}],
                "images": images,
                "prompt_id": f"p{i}",
                "answer": names[i % 4],
            }
        )
    return found


def without_image(row: dict[str, Any]) -> dict[str, Any]:
    """The same question as text alone, as a row of a data set in which other rows have images."""
    text = [part for part in row["prompt"][0]["content"] if part["type"] == "text"]
    return {**row, "prompt": [{"role": "user", "content": text}], "images": None}


def odd_text(completions: list[Any], **_: Any) -> list[float]:
    """A verdict that half of all random completions earn: an odd number of letters."""
    return [float(len(completion[-1]["content"]) % 2) for completion in completions]


def task() -> Task:
    """The prompts as a task whose verifier judges as `odd_text` does."""

    def verify(completion: str, row: Any) -> Verdict:
        return Verdict.CORRECT if len(completion) % 2 else Verdict.WRONG

    return Task(name="colours", train=rows(32), evaluation=rows(4), verify=verify)


def npo(folder: Path, model: Path, *, data: list[dict[str, Any]] | None = None, **more: Any) -> NPOTrainer:
    return _trainer(NPOTrainer, NPOConfig, folder, model, data, more)


def grpo(folder: Path, model: Path, *, data: list[dict[str, Any]] | None = None, **more: Any) -> GRPOTrainer:
    """TRL's own trainer, given the processor it cannot load without torchvision."""
    device = {"bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    more = {**device, "processing_class": load_for_training(str(model)), **more}
    return _trainer(GRPOTrainer, GRPOConfig, folder, model, data, more)


ARGUMENTS = (*tiny.TRAINER_ARGUMENTS, "processing_class", "distiller")


def _trainer(kind: Any, config: Any, folder: Path, model: Path, data: Any, more: dict[str, Any]) -> Any:
    arguments = {name: more.pop(name) for name in ARGUMENTS if name in more}
    settings = {**tiny.SETTINGS, "max_completion_length": 6, **more}
    reward = settings.pop("reward", odd_text)
    arguments.setdefault("train_dataset", Dataset.from_list(rows() if data is None else data))
    args = config(output_dir=str(folder / "out"), **settings)
    return tiny._quiet(kind(str(model), reward_funcs=reward, args=args, **arguments))
