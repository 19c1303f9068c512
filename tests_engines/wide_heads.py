"""The model that ships, with heads of 32: vLLM's attention on a CPU knows no narrower ones.

A head of d dimensions becomes one of D > d by dimensions of zeros, so that every product of a query and a key stays:

    rotary pairs    (i, i + d/2) go to (i D/d, i D/d + D/2), which turn at the same frequency
    the norm        of a head divides by sqrt(mean square), which falls by d/D: its weights fall by sqrt(d/D) as well
    the scale       1/sqrt(D) instead of 1/sqrt(d): queries and keys each rise by (D/d)^(1/4)

Not here: what is tested with it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

WIDE = 32


def widen(source: Path, target: Path) -> Path:
    """Write the model in `source` to `target` with heads of `WIDE` dimensions; the same function but for rounding."""
    shutil.copytree(source, target)
    config = json.loads((source / "config.json").read_text())
    narrow, config["head_dim"] = config["head_dim"], WIDE
    (target / "config.json").write_text(json.dumps(config, indent=1))
    weights = load_file(source / "model.safetensors")
    wide = {name: _widened(name, tensor, narrow) for name, tensor in weights.items()}
    save_file(wide, target / "model.safetensors", metadata={"format": "pt"})
    return target


def _widened(name: str, tensor: Tensor, narrow: int) -> Tensor:
    layer = name.split(".")[-2]
    if layer in ("q_norm", "k_norm"):
        at_scale = tensor * (narrow / WIDE) ** 0.5 * (WIDE / narrow) ** 0.25
        return _spread(at_scale, narrow, rotates=True).contiguous()
    if layer in ("q_proj", "k_proj", "v_proj"):
        heads = tensor.view(-1, narrow, tensor.shape[1]).transpose(1, 2)
        return _spread(heads, narrow, rotates=layer != "v_proj").transpose(1, 2).reshape(-1, tensor.shape[1])
    if layer == "o_proj":
        heads = tensor.view(tensor.shape[0], -1, narrow)
        return _spread(heads, narrow, rotates=False).reshape(tensor.shape[0], -1)
    return tensor


def _spread(heads: Tensor, narrow: int, *, rotates: bool) -> Tensor:
    """The last axis from `narrow` to `WIDE` entries, zeros between; `rotates` keeps rotary pairs pairs."""
    half, step = narrow // 2, WIDE // narrow
    first = torch.arange(half) * step
    places = torch.cat([first, first + WIDE // 2]) if rotates else torch.arange(narrow)
    wide = heads.new_zeros(*heads.shape[:-1], WIDE)
    wide[..., places] = heads
    return wide
