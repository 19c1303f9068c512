"""The scope of a signal measurement: which steps, how many prompts and samples; readable without torch.

Not here: the measurement (`measurement`), which steps there are (`run_signal`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """What to measure.

    Attributes:
        anchors: steps of the learners; empty: the base weights and the checkpoint in the middle of the run.
        distances: steps ahead of the anchor; empty: up to 8 that have checkpoints. 0 is always measured.
        num_prompts: how many failed prompts to find for each anchor; fewer are used if the data has no more.
        num_samples: m, samples per prompt, when failed prompts are chosen and again when a guide is measured.
        k: how many samples the guide may use for coverage; None: the run's `guide_num_samples`, at most m.
        num_resamples: bootstrap resamples of the prompts.
        num_gradients: how many samples per distance have their gradients computed; 0 turns that off.
    """

    anchors: tuple[int, ...] = ()
    distances: tuple[int, ...] = ()
    num_prompts: int = 512
    num_samples: int = 16
    k: int | None = None
    num_resamples: int = 1000
    num_gradients: int = 64
