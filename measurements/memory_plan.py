"""Does the plan's memory formula hold? Small shapes, really trained, against what was predicted first.

    python measurements/memory_plan.py            all shapes, writes measurements/results/memory_plan.md

    text     a Qwen3 with a wide vocabulary, every weight trained
    lora     a Qwen3 with adapters
    image    a Qwen3-VL on images, every weight trained
    llama    a Llama in the shape of SmolLM2-135M with adapters on every linear layer (what memory takes is its shape)

Each shape is planned and the prediction printed first. Then a fresh process imports the libraries, trains a much
smaller model of the same kind (so that nothing loaded lazily is counted), and trains three optimizer steps of GRPO;
what its resident memory rose by at the highest is compared with the plan. glibc is told to give every freed block of
more than 64 kB back at once, so that resident memory is what is in use.

Not here: a GPU (`scripts/gpu_minutes.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
BAR = 0.10
NUM_STEPS = 3
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 16),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 16),
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Case:
    """A shape, and what is trained on it."""

    name: str
    text: dict[str, Any]
    settings: dict[str, Any]
    prompt: int
    vision: dict[str, Any] | None = None
    image_side: int = 0
    model_type: str = "qwen3"


def decoder(vocabulary: int, hidden: int, layers: int, intermediate: int) -> dict[str, Any]:
    """Sizes of a decoder with 8 query and 4 key-value heads of 64."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "intermediate_size": intermediate,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }


BATCH = {"num_generations": 4, "gradient_accumulation_steps": 2}
CASES = {
    "text": Case(
        "text",
        decoder(32768, 512, 10, 1536),
        {**BATCH, "per_device_train_batch_size": 4, "max_completion_length": 64},
        prompt=128,
    ),
    "lora": Case(
        "lora",
        decoder(8192, 768, 12, 2304),
        {
            **BATCH,
            "per_device_train_batch_size": 4,
            "max_completion_length": 64,
            "use_peft": True,
            "lora_r": 16,
            "lora_dropout": 0.0,
            "lora_target_modules": ["all-linear"],
        },
        prompt=192,
    ),
    "image": Case(
        "image",
        {
            **decoder(4096, 512, 6, 1536),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
        },
        {**BATCH, "per_device_train_batch_size": 4, "max_completion_length": 48},
        prompt=160,
        vision={
            "depth": 6,
            "hidden_size": 384,
            "num_heads": 6,
            "intermediate_size": 1024,
            "patch_size": 16,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "out_hidden_size": 512,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [1, 3],
        },
        image_side=320,
    ),
    "llama": Case(
        "llama",
        {**decoder(49152, 576, 30, 1536), "num_attention_heads": 9, "num_key_value_heads": 3},
        {
            **BATCH,
            "per_device_train_batch_size": 8,
            "num_generations": 8,
            "max_completion_length": 16,
            "use_peft": True,
            "lora_r": 16,
            "lora_target_modules": ["all-linear"],
        },
        prompt=48,
        model_type="llama",
    ),
}
SMALL_TEXT = {"num_hidden_layers": 2, "intermediate_size": 128, "vocab_size": 512}


def build(case: Case, folder: Path, *, is_small: bool) -> Path:
    """Write a model with random weights and its tokenizer or processor; prompts are words `w0`, `w1`, ..."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        GenerationConfig,
        PreTrainedTokenizerFast,
    )

    from nearfuture.train.vision.processor import Qwen3VLProcessor

    text = {**case.text, **(SMALL_TEXT if is_small else {})}
    if is_small:
        text["hidden_size"] = text["head_dim"] * text["num_attention_heads"] // 8
    special = ["<pad>", "<eos>", "<unk>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words = special + [f"w{i}" for i in range(256)]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=special[3:],
        chat_template=TEMPLATE,
    )
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    torch.manual_seed(0)
    dtype = getattr(torch, case.settings.get("dtype", "float32"))
    if case.vision is None:
        config = AutoConfig.for_model(case.model_type, **text, **ids)
        model = random_model(AutoModelForCausalLM, config, dtype)
        tokenizer.save_pretrained(folder)
    else:
        vision = {**case.vision, "out_hidden_size": text["hidden_size"], **({"depth": 4} if is_small else {})}
        config = AutoConfig.for_model(
            "qwen3_vl",
            text_config={**text, **ids},
            vision_config=vision,
            vision_start_token_id=3,
            vision_end_token_id=4,
            image_token_id=5,
            video_token_id=6,
            tie_word_embeddings=True,
            **ids,
        )
        model = random_model(AutoModelForImageTextToText, config, dtype)
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        size = {"shortest_edge": 32 * 32, "longest_edge": case.image_side**2}
        images = Qwen2VLImageProcessorPil(patch_size=16, merge_size=2, temporal_patch_size=2, size=size)
        Qwen3VLProcessor(images, tokenizer, chat_template=TEMPLATE).save_pretrained(folder)
    # No completion ends early: the longest is what is planned.
    model.generation_config = GenerationConfig(do_sample=True, suppress_tokens=[1], **ids)
    model.save_pretrained(folder)
    return folder


def random_model(kind: Any, config: Any, dtype: Any) -> Any:
    """A model with random weights, drawn on the GPU where there is one: billions of them take minutes elsewhere."""
    import torch

    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = kind.from_config(config, dtype=dtype)
    model = model.to("cpu")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return model


TEMPLATE = (
    "{% for message in messages %}{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|> <|image_pad|> <|vision_end|> "
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
)


def rows(case: Case, num_prompts: int = 8) -> list[dict[str, Any]]:
    """Prompts of exactly `case.prompt` tokens."""
    num_images = (case.image_side // 32) ** 2 + 2 if case.vision is not None else 0
    found = []
    for i in range(num_prompts):
        text = " ".join(f"w{(7 * i + k) % 256}" for k in range(case.prompt - num_images))
        if case.vision is None:
            found.append({"prompt": text, "prompt_id": f"p{i}"})
            continue
        from PIL import Image

        image = Image.new("RGB", (case.image_side, case.image_side), (20 * i % 256, 90, 200))
        content = [{"type": "image"}, {"type": "text", "text": text}]
        found.append({"prompt": [{"role": "user", "content": content}], "images": [image], "prompt_id": f"p{i}"})
    return found


def configuration(case: Case, model: Path, run_dir: Path) -> Any:
    """The configuration that is planned and trained."""
    from nearfuture.run.settings.load import check

    limits = {"max_prompt_length": case.prompt, "max_image_pixels": case.image_side**2 or None}
    return check(
        {
            "dtype": "float32",
            **case.settings,
            **limits,
            "task": "shapes",
            "model": str(model),
            "run_dir": str(run_dir),
            "max_steps": NUM_STEPS,
        }
    )


def predict(case: Case, model: Path, run_dir: Path, *, is_cpu: bool = True) -> dict[str, float]:
    """The plan, part by part, in bytes; on a GPU without what torch does not count, such as CUDA's own."""
    from nearfuture.lab.forecast.data import Rows
    from nearfuture.lab.forecast.memory import plan_memory
    from nearfuture.lab.forecast.planner import device_of, lengths_of, load_of
    from nearfuture.lab.forecast.wanted import Wanted
    from nearfuture.run.settings.sizes import batch_of
    from nearfuture.train.shape.shapes import load_shape

    config, wanted = configuration(case, model, run_dir), Wanted(is_cpu=is_cpu)
    shape = load_shape(str(model), config.model_settings)
    lengths = lengths_of(config, shape, Rows(8, 0, str(model), ()), wanted)
    memory = plan_memory(load_of(config, shape, batch_of(config, 1), lengths, wanted), device_of(config, wanted))
    memory = replace(memory, parts=tuple(part for part in memory.parts if not part.name.startswith("CUDA")))
    parts = {part.name: part.num_bytes for part in memory.parts if "training" in part.moments}
    return {
        **parts,
        "training": memory.at("training"),
        "generation": memory.at("generation"),
        "peak": memory.peak_bytes,
    }


def train(case: Case, model: Path, run_dir: Path) -> None:
    """A few optimizer steps of GRPO; half of all rewards are 1, so that every group has a gradient."""
    from datasets import Dataset

    from nearfuture.tasks import Task
    from nearfuture.train import factory

    config = configuration(case, model, run_dir)
    task = Task(name="memory", train=rows(case), evaluation=[], verify=lambda text, row: len(text) % 2 == 0)
    trainer = factory.make_trainer(
        factory.Base(str(model), config.model_settings, config.data.max_image_pixels),
        task,
        Dataset.from_list(task.train),
        run_dir,
        {**config.training_settings, "save_steps": 1000, "report_to": "none"},
    )
    trainer.train()
    factory.release(trainer)


def resident(field: str) -> int:
    """`VmRSS` or `VmHWM` of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith(field)).split()[1])


def measure(case: Case, folder: Path) -> None:
    """In a fresh process: warm up on a small model, then train the shape; print what memory rose by."""
    import gc

    train(case, folder / "small", folder / "warm")
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts again
    train(case, folder / "model", folder / "run")
    print(json.dumps({"before": before, "rose": resident("VmHWM") - before}))


def main() -> None:
    """Predict, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS / "memory_plan.md")
    arguments = parser.parse_args()
    if arguments.measure:
        measure(CASES[arguments.measure[0]], Path(arguments.measure[1]))
        return
    lines = []
    for name in arguments.cases:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            build(case, folder / "small", is_small=True)
            build(case, folder / "model", is_small=False)
            planned = predict(case, folder / "model", folder / "plan")
            print(name, "predicted, MB:", {part: round(value / 1e6, 1) for part, value in planned.items()}, flush=True)
            command = [sys.executable, __file__, "--measure", name, str(folder)]
            done = subprocess.run(
                command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(done.stderr[-3000:])
            rose = json.loads(done.stdout.strip().splitlines()[-1])["rose"]
        error = planned["peak"] / rose - 1
        print(f"{name} measured, MB: {rose / 1e6:.1f}; plan / measured - 1 = {error:+.1%}", flush=True)
        lines.append(report_line(case, planned, rose, error))
    arguments.output.write_text("\n".join([*HEADING, *lines, ""]))


HEADING = [
    "# Planned and measured peak memory",
    "",
    "Written by `measurements/memory_plan.py` (CPU, float32, one process; resident memory, libraries not counted). "
    f"Bar: within {BAR:.0%}.",
    "",
    "| shape | parameters, M | trained, M | planned, MB | measured, MB | plan / measured - 1 | within the bar |",
    "|---|---|---|---|---|---|---|",
]


def report_line(case: Case, planned: dict[str, float], rose: float, error: float) -> str:
    """A row of the table."""
    trained = planned["gradients"] / 4e6
    weights = planned["weights"] / 4e6
    numbers = f"{weights:.1f} | {trained:.2f} | {planned['peak'] / 1e6:.0f} | {rose / 1e6:.0f} | {error:+.1%}"
    return f"| {case.name} | {numbers} | {'yes' if abs(error) <= BAR else 'no'} |"


if __name__ == "__main__":
    main()
