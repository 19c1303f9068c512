"""What `task_args` may contain for every family, and how a question becomes a row with a prompt and maybe examples.

Not here: drawing questions and choosing their side (`reasoning`), scorers (`scoring`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nearfuture.tasks.gyms import scoring, sides
from nearfuture.types import UserError

TAGGED = "Give the final answer between <answer> and </answer>."
Entry = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Sizes(sides.Sizes):
    """What `task_args` may contain in addition to the family's own parameters: the fields of every source, and more.

    Attributes:
        instruction: says where to put the answer, which is where the scorer looks.
        data_seed: the seed of all questions. It is not the run's seed, so that seeds are compared on the same
            questions.
        system_prompt: a system message; None: what the model's template writes without one.
        num_shots: how many solved questions precede every question as turns of the conversation, the same for all and
            on no side. They reveal the form of an answer, so that what remains to be learned is how to find it.
        held_out_num_shots: if above 0, every held-out and test question is asked a second time after this many solved
            ones, as a separate family. A policy that improves only on the other family has learned the form of an
            answer.
    """

    instruction: str = TAGGED
    data_seed: int = 0
    system_prompt: str | None = None
    num_shots: int = 0
    held_out_num_shots: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.num_shots, self.held_out_num_shots) < 0:
            raise UserError(
                f"task_args: num_shots={self.num_shots}, held_out_num_shots={self.held_out_num_shots}: no number is "
                "negative."
            )
        if self.prompt == "text" and self.system_prompt is not None:
            raise UserError("task_args.system_prompt needs prompt: messages. A text has no roles.")


def solved(entry: Entry, name: str) -> Entry:
    """Turn an entry into an example to show.

    Raises:
        UserError: the family has no gold answers.
    """
    if entry["answer"] is None:
        raise UserError(f"task_args.num_shots: reasoning_gym/{name} has no gold answers to show. Leave it at 0.")
    return entry


def to_row(
    entry: Entry, name: str, config: Mapping[str, Any], sizes: Sizes, shots: Sequence[Entry] = (), way: str = ""
) -> dict[str, Any]:
    """Turn an entry into a row: the prompt, the family, the answer, and everything that its scorer looks at.

    Args:
        entry: the package's entry.
        name: the family's name.
        config: the family's parameters.
        sizes: how the question is asked.
        shots: the examples before it.
        way: the way of asking, which is appended to the family's name.
    """
    put = as_text if sizes.prompt == "text" else as_messages
    return {
        "prompt": put(entry, sizes, shots),
        "family": entry["metadata"].get("source_dataset", name) + way,
        "answer": entry["answer"],
        "entry": scoring.packed(name, config, entry),
    }


def as_messages(entry: Entry, sizes: Sizes, shots: Sequence[Entry]) -> list[dict[str, str]]:
    """Return the conversation that ends with a question."""
    turns = [] if sizes.system_prompt is None else [("system", sizes.system_prompt)]
    for shot in shots:
        turns += [("user", question_of(shot, sizes)), ("assistant", answer_as_asked(shot, sizes))]
    turns.append(("user", question_of(entry, sizes)))
    return [{"role": role, "content": content} for role, content in turns]


def as_text(entry: Entry, sizes: Sizes, shots: Sequence[Entry]) -> str:
    """Return the same as one text, for a model without a template."""
    shown = [f"{question_of(shot, sizes)}\n{answer_as_asked(shot, sizes)}" for shot in shots]
    return "\n\n".join([*shown, question_of(entry, sizes)])


def question_of(entry: Entry, sizes: Sizes) -> str:
    """Return a question with the instruction."""
    return "\n".join(filter(None, [entry["question"].strip(), sizes.instruction]))


def answer_as_asked(entry: Entry, sizes: Sizes) -> str:
    """Return a gold answer in the form that the instruction asks for."""
    return f"<answer>{entry['answer']}</answer>" if "<answer>" in sizes.instruction else str(entry["answer"])
