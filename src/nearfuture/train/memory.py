"""Give back memory that is no longer referenced.

Not here: who lets go of what (`factory.release`, the policies' own `release`).
"""

from __future__ import annotations

import gc
import sys

import torch


def collect() -> None:
    """Free what lies in reference cycles; where vLLM is loaded, frozen or not.

    vLLM freezes the heap when it makes an engine: whatever lived then, the policy in training included, no collection
    sees again. Without it, what was frozen was meant to be: going through it would take half a second each time.
    """
    if "vllm" in sys.modules:
        gc.unfreeze()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
