"""The training layer: the only one that imports TRL, transformers, accelerate (and vLLM through them).

Not here: the method as formulas (`nearfuture.method`), guidance (`nearfuture.guidance`), runs (`nearfuture.run`).
"""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from nearfuture.train.engine import TRLEngine
from nearfuture.train.npo_config import NPOConfig, Weighting
from nearfuture.train.trainer import NPOTrainer

__all__ = ["NPOConfig", "NPOTrainer", "TRLEngine", "Weighting"]
