"""A vision model of the size of SmolLM2-135M, for measuring where a step's or a collection's time goes on images.

What it does: keeps the processor, tokenizer and template of the shapes world's tiny Qwen3-VL, gives the model 30 layers
of 576 (SmolLM2-135M's text shape) and a tower of 12 layers of 384, and writes random weights.

What it leaves out: any skill. It solves nothing, and ends an answer by chance.

    python measurements/wide_vision.py runs/wide_vision
    python measurements/real_collection.py configs/shapes/npo_early.yaml model=runs/wide_vision --accept 8 --prompts 16
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from nearfuture.tasks.worlds.shapes import shipped

TEXT = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
}
TOWER = {"depth": 12, "hidden_size": 384, "intermediate_size": 1536, "num_heads": 6, "out_hidden_size": 576}


def widen(folder: Path) -> int:
    """Write the wide model beside the shipped processor's files; returns its number of parameters."""
    shutil.copytree(
        shipped.FOLDER / "model", folder, ignore=shutil.ignore_patterns("model.safetensors"), dirs_exist_ok=True
    )
    config = AutoConfig.from_pretrained(shipped.FOLDER / "model")
    for part, shape in ((config.text_config, TEXT), (config.vision_config, TOWER)):
        for name, value in shape.items():
            setattr(part, name, value)
    config.text_config.rope_parameters["mrope_section"] = [12, 10, 10]
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    return model.num_parameters()


def main() -> None:
    """Write the folder, say how large the model is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print(f"{folder}: {widen(folder) / 1e6:.0f} million parameters, random")


if __name__ == "__main__":
    main()
