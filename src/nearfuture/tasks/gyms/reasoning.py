"""`task: reasoning_gym/NAME`: a family of the reasoning-gym package as a task, judged by that family's own scorer.

    task: reasoning_gym/chain_sum           one of its families; `nearfuture task list` names them all
    task_args:
      max_digits: 2                         the family's own parameters
      num_train: 2048                       and those of `Sizes`: how many questions, for which side, how they are put
    task: reasoning_gym/composite           a mixture
    task_args:
      datasets: [{name: chain_sum, weight: 2}, {name: gcd, weight: 1, config: {max_num: 50}}]

A question's side is decided by its own hash, so the sides cannot overlap, whatever is drawn and however few different
questions a family has. A question that is drawn again is left out and counted.

Not here: what a scorer makes of an answer (`scoring`), a threshold for partial credit (`Task.correct_threshold`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from nearfuture.tasks.gyms import scoring
from nearfuture.tasks.task import Task
from nearfuture.types import NoSignalError, UserError, did_you_mean

TAGGED = "Give the final answer between <answer> and </answer>."
MAX_DRAWS = 4
"""Draws for each question that is wanted, after which a family counts as one that has no more."""
RESERVED = ("size", "seed")
Side = Literal["train", "evaluation", "test"]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What `task_args` says beside the family's own parameters.

    Attributes:
        num_train: questions to train on.
        num_evaluation: held-out questions used during training.
        num_test: questions of the final comparison.
        data_seed: of all questions. The seed of a run is another one, so that seeds are compared on the same questions.
        prompt: `messages` for a model with a chat template, `text` for one without.
        instruction: a sentence behind every question; empty: none.
        correct_threshold: the lowest score that counts as correct. Scorers give partial credit for the right form.
    """

    num_train: int = 2048
    num_evaluation: int = 128
    num_test: int = 256
    data_seed: int = 0
    prompt: Literal["messages", "text"] = "messages"
    instruction: str = TAGGED
    correct_threshold: float = 1.0

    def __post_init__(self) -> None:
        if min(self.num_train, self.num_evaluation + 1, self.num_test + 1) < 1:
            raise UserError(
                f"task_args: num_train={self.num_train}, num_evaluation={self.num_evaluation}, num_test={self.num_test}"
                ". A task needs at least one question to train on, and no number is negative."
            )
        if self.prompt not in ("messages", "text"):
            raise UserError(f"task_args.prompt={self.prompt!r}. It is messages or text.")

    @property
    def wanted(self) -> dict[Side, int]:
        """Questions of each side."""
        return {"train": self.num_train, "evaluation": self.num_evaluation, "test": self.num_test}


def reasoning_task(name: str, args: Mapping[str, Any]) -> Task:
    """Load a family as a task.

    Args:
        name: of the family, as the package registers it.
        args: the fields of `Sizes`, and parameters of the family.

    Raises:
        UserError: the package is not installed, the family or a parameter is unknown, or a value is refused by it.
        NoSignalError: no question is left to train on.
    """
    own = {field.name for field in dataclasses.fields(Sizes)}
    sizes = Sizes(**{key: value for key, value in args.items() if key in own})
    config = {key: value for key, value in args.items() if key not in own}
    check_parameters(name, config, own)
    sides, num_drawn, num_again = draw(name, config, sizes)
    if not sides["train"]:
        raise NoSignalError(
            f"task=reasoning_gym/{name}: none of {num_drawn} questions is left to train on: the family has too few "
            "different ones. Widen its parameters (task_args), or ask for fewer held-out questions."
        )
    has_golds = all(row["answer"] is not None for rows in sides.values() for row in rows)
    return Task(
        name=f"reasoning_gym/{name}",
        train=sides["train"],
        evaluation=sides["evaluation"],
        test=sides["test"],
        verify=scoring.score,
        verifier_version=f"reasoning-gym {scoring.version()}",
        gold_column="answer" if has_golds else None,
        time_limit=scoring.TIME_LIMIT,
        correct_threshold=sizes.correct_threshold,
        notes=tuple(notes(name, sides, sizes, num_drawn, num_again, has_golds=has_golds)),
    )


def check_parameters(name: str, config: Mapping[str, Any], own: set[str]) -> None:
    """Refuse a family or a parameter that is not there, with the nearest one that is.

    Raises:
        UserError: see above.
    """
    families = scoring.families()
    if name not in families:
        hint = did_you_mean(name, families, repr)
        raise UserError(
            f"task=reasoning_gym/{name}: reasoning-gym {scoring.version()} has no family {name!r}.{hint} It has "
            f"{len(families)}: {', '.join(families)}."
        )
    known = [key for key in scoring.parameters(name) if key not in RESERVED]
    for key in config:
        if key in known:
            continue
        hint = did_you_mean(key, [*known, *own], repr)
        raise UserError(
            f"task_args.{key}: reasoning_gym/{name} has no such parameter.{hint} It has {', '.join(known) or 'none'}; "
            f"for every family there are {', '.join(sorted(own))}."
        )


def draw(name: str, config: Mapping[str, Any], sizes: Sizes) -> tuple[dict[Side, list[dict[str, Any]]], int, int]:
    """Draw questions until every side has its number, or the family seems to have no more.

    Returns:
        The rows of each side, how many questions were drawn, and how many of them had been drawn before.
    """
    wanted = sizes.wanted
    sides: dict[Side, list[dict[str, Any]]] = {"train": [], "evaluation": [], "test": []}
    seen: set[str] = set()
    num_drawn = num_again = 0
    for entry in scoring.entries(name, config, sizes.data_seed, MAX_DRAWS * sum(wanted.values())):
        num_drawn += 1
        question = entry["question"]
        if question in seen:
            num_again += 1
            continue
        seen.add(question)
        side = side_of(question, wanted)
        if len(sides[side]) < wanted[side]:
            sides[side].append(to_row(entry, name, config, sizes))
        if all(len(sides[key]) == wanted[key] for key in sides):
            break
    return sides, num_drawn, num_again


def side_of(question: str, wanted: Mapping[Side, int]) -> Side:
    """Say on which side a question is: by its hash alone, in the proportion of what is wanted.

    Example:
        >>> {side_of(str(i), {"train": 1, "evaluation": 0, "test": 0}) for i in range(9)}
        {'train'}
    """
    place = int.from_bytes(hashlib.sha256(question.encode()).digest()[:8], "big") % sum(wanted.values())
    if place < wanted["test"]:
        return "test"
    return "evaluation" if place < wanted["test"] + wanted["evaluation"] else "train"


def to_row(entry: dict[str, Any], name: str, config: Mapping[str, Any], sizes: Sizes) -> dict[str, Any]:
    """Make a row of an entry: the prompt, the family, the answer, and all that its scorer looks at."""
    text = "\n".join(filter(None, [entry["question"].strip(), sizes.instruction]))
    return {
        "prompt": text if sizes.prompt == "text" else [{"role": "user", "content": text}],
        "family": entry["metadata"].get("source_dataset", name),
        "answer": entry["answer"],
        "entry": scoring.packed(name, config, entry),
    }


def notes(
    name: str,
    sides: Mapping[Side, list[dict[str, Any]]],
    sizes: Sizes,
    num_drawn: int,
    num_again: int,
    *,
    has_golds: bool,
) -> Iterator[str]:
    """Say what a user should know before step 1."""
    counts = ", ".join(f"{len(rows)} {side}" for side, rows in sides.items())
    yield f"reasoning_gym/{name}: {counts} questions of {num_drawn} drawn ({num_again} had been drawn before)"
    missing = [f"{sizes.wanted[side] - len(rows)} {side}" for side, rows in sides.items()]
    if any(len(rows) < sizes.wanted[side] for side, rows in sides.items()):
        yield f"reasoning_gym/{name} seems to have no more different questions; missing: {', '.join(missing)}"
    if not has_golds:
        yield f"reasoning_gym/{name} has questions without a single gold answer: its scorer could not be tried on them"
