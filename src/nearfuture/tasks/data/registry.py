"""The data sets known by name: where they are, how a row is read, their licence and size.

Sizes and licences are those of the public cards (2025 to 2026); none of the rows ship with the project.

Not here: reading them (`reading`, `loading`), the adapters (`text_sets`, `image_sets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfuture.tasks.data import image_sets, text_sets
from nearfuture.tasks.data.known_forms import Adapter
from nearfuture.types import UserError, did_you_mean


@dataclass(frozen=True)
class Source:
    """A data set on the Hub.

    Attributes:
        repo: its id.
        adapt: reads one of its rows.
        licence: the licence that its card states.
        num_rows: the number of rows in the split that its card states.
        needs: columns that the adapter requires; `a|b` are two spellings of one.
        reads: columns that it reads if they exist.
        kinds: how it decides which kind of answer a row has.
        config: the configuration; None: the default one; several are read one after another.
        split: the split to train on.
        num_verifiable: the number of rows whose answer rules can judge, if known.
        is_repeated: rows occur more than once, and only the first of each is kept.
        note: what to know before training on it.
    """

    repo: str
    adapt: Adapter
    licence: str
    num_rows: int
    needs: tuple[str, ...]
    reads: tuple[str, ...] = ()
    kinds: str = "by its form: number, yes or no, list, letter, mathematics"
    config: str | tuple[str, ...] | None = None
    split: str = "train"
    num_verifiable: int | None = None
    is_repeated: bool = False
    note: str = ""

    def columns(self, there: Sequence[str], name: str) -> list[str]:
        """Return the columns to read, among those that exist.

        Raises:
            UserError: a required column is missing.
        """
        missing = [need for need in self.needs if not set(need.split("|")) & set(there)]
        if missing:
            hint = did_you_mean(missing[0].split("|")[0], there, repr)
            raise UserError(
                f"dataset_name={name}: {self.repo} is read from the columns {', '.join(self.needs)}, and here "
                f"{', '.join(missing)} is missing.{hint} It has: {', '.join(there)}. Set dataset_columns, for example "
                "{question: COLUMN, gold: COLUMN}, if this is another version of it."
            )
        known = {column for need in (*self.needs, *self.reads) for column in need.split("|")}
        return [column for column in there if column in known]


_FINE = "OpenDataArena/MMFineReason-SFT-{}-Qwen3-VL-235B-Thinking"
_FINE_NEEDS = ("question", "answer", "image|images", "pass_rate|qwen3vl_4b_pass_rate")
_FINE_KINDS = "letter, yes or no, number or mathematics; prose is left out"
_MATH_SUBJECTS = (
    *("algebra", "counting_and_probability", "geometry", "intermediate_algebra"),
    *("number_theory", "prealgebra", "precalculus"),
)

SOURCES: dict[str, Source] = {
    "mmfinereason": Source(
        _FINE.format("123K"),
        image_sets.mmfinereason,
        "apache-2.0, its sources keep their own",
        122_603,
        _FINE_NEEDS,
        ("source", "id"),
        _FINE_KINDS,
        num_verifiable=95_128,
        note="rows that a 4B model failed in 4 of 4 samples: difficulty is 0 throughout",
    ),
    "mmfinereason_586k": Source(
        _FINE.format("586K"),
        image_sets.mmfinereason,
        "apache-2.0, its sources keep their own",
        586_000,
        _FINE_NEEDS,
        ("source", "id"),
        _FINE_KINDS,
        note="rows that a 4B model did not solve in 4 of 4 samples; dataset_max_difficulty=0 gives the 123K",
    ),
    "geometry3k": Source(
        "hiyouga/geometry3k", image_sets.geometry3k, "mit", 2_101, ("problem|question", "answer", "images"), ("id",)
    ),
    "mmk12": Source(
        "FanqingM/MMK12",
        image_sets.mmk12,
        "apache-2.0",
        15_616,
        ("question", "answer", "image|images"),
        ("id", "subject"),
    ),
    "virl39k": Source(
        "TIGER-Lab/ViRL39K",
        image_sets.virl39k,
        "mit",
        38_870,
        ("question", "answer", "image|images"),
        ("PassRate_7BBase", "PassRate_32BTrained", "category", "qid"),
        note="images are paths: unpack images.zip and set dataset_image_root",
    ),
    "openr1_math": Source(
        "open-r1/OpenR1-Math-220k",
        text_sets.openr1_math,
        "apache-2.0",
        93_733,
        ("problem", "answer"),
        ("problem_type", "question_type", "uuid"),
        "letter where it is a choice, else by its form; proofs are left out",
        config="default",
    ),
    "dapo_math": Source(
        "BytedTsinghua-SIA/DAPO-Math-17k",
        text_sets.dapo_math,
        "apache-2.0",
        1_791_700,
        ("prompt", "reward_model"),
        num_verifiable=17_398,
        is_repeated=True,
        note="17,398 problems, each about a hundred times",
    ),
    "dapo_math_processed": Source(
        "open-r1/DAPO-Math-17k-Processed",
        text_sets.dapo_math,
        "apache-2.0",
        14_116,
        ("prompt", "solution"),
        config="en",
        is_repeated=True,
    ),
    "deepmath": Source(
        "zwhe99/DeepMath-103K",
        text_sets.deepmath,
        "mit",
        103_110,
        ("question", "final_answer"),
        ("difficulty", "topic"),
    ),
    "gsm8k": Source(
        "openai/gsm8k", text_sets.gsm8k, "mit", 7_473, ("question", "answer"), kinds="number", config="main"
    ),
    "math": Source(
        "EleutherAI/hendrycks_math",
        text_sets.math,
        "mit",
        7_500,
        ("problem", "solution|answer"),
        ("level", "type", "subject"),
        config=_MATH_SUBJECTS,
        note="seven configurations, one per subject; dataset_config takes one of them",
    ),
    "math500": Source(
        "HuggingFaceH4/MATH-500",
        text_sets.math,
        "mit",
        500,
        ("problem", "answer|solution"),
        ("level", "subject", "type"),
        split="test",
        note="a test set",
    ),
}
"""Known data sets by the name that `dataset_name` takes."""


def find_source(name: str) -> tuple[str, Source] | None:
    """Find a known data set by its registered name, its id on the Hub, or a folder named like that id.

    Example:
        >>> [find_source(name)[0] for name in ("gsm8k", "openai/gsm8k", "/data/openai/gsm8k")]
        ['gsm8k', 'gsm8k', 'gsm8k']
        >>> find_source("openai/gsm8k.jsonl") is None
        True
    """
    if name in SOURCES:
        return name, SOURCES[name]
    owner_and_name = "/".join(Path(name).parts[-2:]).lower()
    for known, source in SOURCES.items():
        if owner_and_name in (source.repo.lower(), source.repo.removesuffix("-Qwen3-VL-235B-Thinking").lower()):
            return known, source
    return None
