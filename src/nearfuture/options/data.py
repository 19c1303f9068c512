"""The settings that name a data set; TRL's names where TRL has them.

Not here: the settings of a run (`nearfuture.run.settings.config`), what is done with them (`nearfuture.tasks.data`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class DataConfig:
    """Which rows a run trains on, unless a task has them.

    Attributes:
        dataset_name: a registered name (`nearfuture.tasks.data.SOURCES`), an id on the Hub, a folder, or a file
            (.jsonl, .json, .parquet, .csv).
        dataset_config: configuration of that data set on the Hub.
        dataset_train_split: split that is trained on; None: the registered one, or `train`.
        dataset_test_split: split that is evaluated on the way; None: none.
        dataset_num_held_out: rows of the training split that are evaluated instead, chosen by a hash of their content.
        dataset_columns: which column holds what, for data that no adapter knows: `{question: problem, gold: answer}`.
        dataset_image_root: folder that paths of images start from; None: the folder of the data.
        dataset_template: what the prompt asks for: `boxed`, `answer_tag` (thoughts and answer in tags), or `none`;
            `text` is the question as a string, for models without a chat template.
        dataset_system_prompt: a first message of the role `system`; None: none.
        dataset_min_difficulty: rows with a lower `difficulty` are left out, and rows without one.
        dataset_max_difficulty: the same for higher ones.
        max_prompt_length: prompts of more tokens are left out, tokens of images counted; None: all stay.
        max_image_pixels: larger images are scaled down by the processor; None: as the model has it.
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
        """The settings that are not at their defaults."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}
