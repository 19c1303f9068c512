"""Shapes of published models, so that a run can be planned where none of their files are.

    Qwen3            arXiv:2505.09388, table 1, and the config.json of each repository
    Qwen3-VL         the config.json of each repository (2025)

Only what decides sizes is here. The number of parameters is counted, not stated: on paper (`paper`), which a test
compares with the model that transformers builds from these numbers on the `meta` device (`counted`).

Not here: a model that lies on this machine (its own config.json is read instead: `shapes`).
"""

from __future__ import annotations

from typing import Any

QWEN3_VOCABULARY = 151936
ORIGIN = "known shape; none of its files is here"
LIKE_QWEN3 = ("qwen3", "qwen3_vl", "qwen3_vl_text")
"""Model types whose layers hold what `nearfuture.lab.forecast.activations` counts, measured; others are taken as
alike."""


def _text(hidden: int, layers: int, heads: int, intermediate: int, *, is_tied: bool) -> dict[str, Any]:
    """All sizes have 8 key-value heads of 128."""
    return {
        "vocab_size": QWEN3_VOCABULARY,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": intermediate,
        "tie_word_embeddings": is_tied,
    }


def _vision(depth: int, hidden: int, intermediate: int, out_hidden: int, deepstack: list[int]) -> dict[str, Any]:
    """All sizes see patches of 16 x 16, two frames deep, and merge 2 x 2 of them into a token."""
    return {
        "depth": depth,
        "hidden_size": hidden,
        "num_heads": 16,
        "intermediate_size": intermediate,
        "out_hidden_size": out_hidden,
        "deepstack_visual_indexes": deepstack,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 2304,
    }


_MROPE = {"rope_type": "default", "rope_theta": 5_000_000, "mrope_section": [24, 20, 20], "mrope_interleaved": True}


def _with_vision(text: dict[str, Any], vision: dict[str, Any]) -> dict[str, Any]:
    return {
        "text_config": {**text, "rope_parameters": _MROPE},
        "vision_config": vision,
        "tie_word_embeddings": text["tie_word_embeddings"],
    }


_QWEN3 = {
    "0.6B": _text(1024, 28, 16, 3072, is_tied=True),
    "1.7B": _text(2048, 28, 16, 6144, is_tied=True),
    "4B": _text(2560, 36, 32, 9728, is_tied=True),
    "8B": _text(4096, 36, 32, 12288, is_tied=False),
    "32B": _text(5120, 64, 64, 25600, is_tied=False),
}

KNOWN_SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"Qwen/Qwen3-{size}": ("qwen3", _QWEN3[size]) for size in ("0.6B", "1.7B", "4B", "8B")},
    "Qwen/Qwen3-VL-2B-Instruct": (
        "qwen3_vl",
        _with_vision(_QWEN3["1.7B"], _vision(24, 1024, 4096, 2048, [5, 11, 17])),
    ),
    "Qwen/Qwen3-VL-4B-Instruct": (
        "qwen3_vl",
        _with_vision(_QWEN3["4B"], _vision(24, 1024, 4096, 2560, [5, 11, 17])),
    ),
    "Qwen/Qwen3-VL-8B-Instruct": (
        "qwen3_vl",
        _with_vision(_QWEN3["8B"], _vision(27, 1152, 4304, 4096, [8, 16, 24])),
    ),
    "Qwen/Qwen3-VL-32B-Instruct": (
        "qwen3_vl",
        _with_vision(_QWEN3["32B"], _vision(27, 1152, 4304, 5120, [8, 16, 24])),
    ),
}
"""Name on the Hub -> (model type, the settings of its config.json that decide sizes)."""
KNOWN_SHAPES |= {
    name.replace("-Instruct", "-Thinking"): shape for name, shape in KNOWN_SHAPES.items() if name.endswith("-Instruct")
}
