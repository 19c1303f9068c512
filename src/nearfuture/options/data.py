"""The settings that name a data set, under TRL's names where TRL has them.

Not here: the settings of a run (`nearfuture.run.settings.config`), reading the data (`nearfuture.tasks.data`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class DataConfig:
    """Which rows a run trains on, unless a task has them.

    Attributes:
        dataset_name: a registered name (`nearfuture.tasks.data.SOURCES`), an id on the Hub, a folder, or a file
            (.jsonl, .json, .parquet, .csv, .tsv).
        dataset_config: the configuration of that data set on the Hub.
        dataset_train_split: the split to train on; None: the registered one, or `train`.
        dataset_test_split: the split that is evaluated during training; None: no split.
        dataset_num_held_out: how many rows of the training split are evaluated instead, chosen by a hash of their
            content.
        dataset_columns: which column holds what, for data that no adapter knows: `{question: problem, gold: answer}`.
        dataset_image_root: the folder that image paths are relative to; None: the folder of the data.
        dataset_template: what the prompt asks for: `boxed`, `answer_tag` (thoughts and answer in tags), or `none`;
            `text` is the question as a string, for models without a chat template.
        dataset_system_prompt: a first message with the role `system`; None: no such message.
        dataset_min_difficulty: rows with a lower `difficulty` are left out, and so are rows without one.
        dataset_max_difficulty: rows with a higher `difficulty` are left out, and so are rows without one.
        max_prompt_length: prompts with more tokens, image tokens included, are left out; None: all stay.
        max_image_pixels: the processor scales larger images down; None: the model's own limit.
        verifier: `path/to/file.py:function` in verl's or EasyR1's form, instead of the built-in one.
    """

    dataset_name: str | None = None
    dataset_config: str | None = None
    dataset_train_split: str | None = None
    dataset_test_split: str | None = None
    dataset_num_held_out: int = 0
    dataset_columns: dict[str, str] | None = None
    dataset_image_root: str | None = None
    dataset_template: Literal["boxed", "answer_tag", "none", "text"] = "boxed"
    dataset_system_prompt: str | None = None
    dataset_min_difficulty: float | None = None
    dataset_max_difficulty: float | None = None
    max_prompt_length: int | None = None
    max_image_pixels: int | None = None
    verifier: str | None = None

    def given(self) -> dict[str, Any]:
        """Return the settings that are not at their defaults."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}
