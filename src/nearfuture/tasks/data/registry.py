"""The data sets that are known by name: where they lie, how a row is read, their licence and size.

Sizes and licences are those of the public cards (2025 to 2026); nothing of these sets is shipped.

Not here: reading them (`loading`), the adapters (`text_sets`, `image_sets`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.tasks.data import image_sets, text_sets
from nearfuture.tasks.data.known_forms import Adapter


@dataclass(frozen=True)
class Source:
    """A data set on the Hub.

    Attributes:
        repo: its id.
        adapt: reads one of its rows.
        licence: as its card states it.
        num_rows: of the split, as its card states it.
        config: configuration; None: the default one.
        split: that is trained on.
        num_verifiable: rows whose answer rules can judge, where somebody counted them.
        is_repeated: rows come more than once; only the first of each is kept.
        note: what to know before training on it.
    """

    repo: str
    adapt: Adapter
    licence: str
    num_rows: int
    config: str | None = None
    split: str = "train"
    num_verifiable: int | None = None
    is_repeated: bool = False
    note: str = ""


_FINE = "OpenDataArena/MMFineReason-SFT-{}-Qwen3-VL-235B-Thinking"

SOURCES: dict[str, Source] = {
    "mmfinereason": Source(
        _FINE.format("123K"),
        image_sets.mmfinereason,
        "apache-2.0, its sources keep their own",
        122_603,
        num_verifiable=95_128,
        note="rows that a 4B model failed in 4 of 4 samples: difficulty is 0 throughout",
    ),
    "mmfinereason_586k": Source(
        _FINE.format("586K"),
        image_sets.mmfinereason,
        "apache-2.0, its sources keep their own",
        586_000,
        note="rows that a 4B model did not solve in 4 of 4 samples; dataset_max_difficulty=0 gives the 123K",
    ),
    "geometry3k": Source("hiyouga/geometry3k", image_sets.geometry3k, "mit", 2_101),
    "mmk12": Source("FanqingM/MMK12", image_sets.mmk12, "apache-2.0", 15_616),
    "virl39k": Source(
        "TIGER-Lab/ViRL39K",
        image_sets.virl39k,
        "mit",
        38_870,
        note="images are paths: unpack images.zip and set dataset_image_root",
    ),
    "openr1_math": Source("open-r1/OpenR1-Math-220k", text_sets.openr1_math, "apache-2.0", 93_733, "default"),
    "dapo_math": Source(
        "BytedTsinghua-SIA/DAPO-Math-17k",
        text_sets.dapo_math,
        "apache-2.0",
        1_791_700,
        num_verifiable=17_398,
        is_repeated=True,
        note="17,398 problems, each about a hundred times",
    ),
    "dapo_math_processed": Source(
        "open-r1/DAPO-Math-17k-Processed", text_sets.dapo_math, "apache-2.0", 14_116, "en", is_repeated=True
    ),
    "deepmath": Source("zwhe99/DeepMath-103K", text_sets.deepmath, "mit", 103_110),
    "gsm8k": Source("openai/gsm8k", text_sets.gsm8k, "mit", 7_473, "main"),
    "math": Source(
        "EleutherAI/hendrycks_math",
        text_sets.math,
        "mit",
        7_500,
        note="seven configurations, one a subject: set dataset_config",
    ),
    "math500": Source("HuggingFaceH4/MATH-500", text_sets.math, "mit", 500, split="test", note="a test set"),
}
"""By the name that `dataset_name` takes."""
