"""`task: reasoning_gym/NAME`: a family of the reasoning-gym package as a task, judged by that family's own scorer.

    task: reasoning_gym/chain_sum           one of its families; an error for an unknown name lists all
    task_args:
      max_digits: 2                         the family's own parameters
      num_train: 2048                       and of `Sizes`: how many questions, for which side, in which form
    task: reasoning_gym/composite           a mixture
    task_args:
      datasets: [{name: chain_sum, weight: 2}, {name: gcd, weight: 1, config: {max_num: 50}}]

A question's own hash decides its side, so the sides cannot overlap, whatever is drawn and however few different
questions a family has. A question that is drawn again is left out and counted.

Not here: the form of a question (`rows`), scoring an answer (`scoring`), a threshold for partial credit
(`Task.correct_threshold`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from nearfuture.tasks.gyms import scoring
from nearfuture.tasks.gyms.rows import Entry, Sizes, solved, to_row
from nearfuture.tasks.gyms.sides import MAX_DRAWS, Side, side_of
from nearfuture.tasks.task import Task
from nearfuture.types import NoSignalError, UserError, did_you_mean

RESERVED = ("size", "seed")


def reasoning_task(name: str, args: Mapping[str, Any]) -> Task:
    """Load a family as a task.

    Args:
        name: the family's name in the package.
        args: the fields of `Sizes`, and parameters of the family.

    Raises:
        UserError: the package is not installed, the family or a parameter is unknown, or the package refuses a value.
        NoSignalError: no question is left to train on.
    """
    own = {field.name for field in dataclasses.fields(Sizes)}
    sizes = Sizes(**{key: value for key, value in args.items() if key in own})
    config = {key: value for key, value in args.items() if key not in own}
    check_parameters(name, config, own)
    drawn = draw(name, config, sizes)
    if not drawn.sides["train"]:
        raise NoSignalError(
            f"task=reasoning_gym/{name}: none of {drawn.num} questions is left to train on: the family has too few "
            "different ones. Widen its parameters (task_args), or ask for fewer held-out questions."
        )
    has_golds = all(entry["answer"] is not None for entries in drawn.sides.values() for entry in entries)
    return Task(
        name=f"reasoning_gym/{name}",
        train=drawn.rows("train", name, config, sizes),
        evaluation=drawn.rows("evaluation", name, config, sizes),
        test=drawn.rows("test", name, config, sizes),
        verify=scoring.score,
        verifier_version=f"reasoning-gym {scoring.version()}",
        gold_column="answer" if has_golds else None,
        time_limit=scoring.TIME_LIMIT,
        correct_threshold=sizes.correct_threshold,
        notes=tuple(notes(name, drawn, sizes, has_golds=has_golds)),
    )


def check_parameters(name: str, config: Mapping[str, Any], own: set[str]) -> None:
    """Refuse an unknown family or parameter, and name the nearest known one.

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


@dataclasses.dataclass
class Drawn:
    """Questions as the package makes them: those of each side, those to show, how many were drawn, and drawn again."""

    sides: dict[Side, list[Entry]]
    shots: list[Entry]
    num: int = 0
    num_again: int = 0

    def rows(self, side: Side, name: str, config: Mapping[str, Any], sizes: Sizes) -> list[dict[str, Any]]:
        """Return the rows of a side; held-out questions may be asked in two ways."""
        ways = {"": self.shots[: sizes.num_shots]}
        if side != "train" and sizes.held_out_num_shots:
            num = sizes.held_out_num_shots
            ways[f" after {num} solved"] = self.shots[:num]
        return [
            to_row(entry, name, config, sizes, shots, way) for way, shots in ways.items() for entry in self.sides[side]
        ]


def draw(name: str, config: Mapping[str, Any], sizes: Sizes) -> Drawn:
    """Draw questions until every side is full, or the family seems to have no more.

    Raises:
        UserError: the first questions are to be shown as examples, but have no gold answer.
    """
    wanted, num_shots = sizes.wanted, max(sizes.num_shots, sizes.held_out_num_shots)
    drawn = Drawn({"train": [], "evaluation": [], "test": []}, [])
    seen: set[str] = set()
    for entry in scoring.entries(name, config, sizes.data_seed, MAX_DRAWS * sum(wanted.values()) + num_shots):
        drawn.num += 1
        question = entry["question"]
        if question in seen:
            drawn.num_again += 1
            continue
        seen.add(question)
        if len(drawn.shots) < num_shots:
            drawn.shots.append(solved(entry, name))
            continue
        side = side_of(question, wanted)
        if len(drawn.sides[side]) < wanted[side]:
            drawn.sides[side].append(entry)
        if all(len(drawn.sides[key]) == wanted[key] for key in wanted):
            break
    return drawn


def notes(name: str, drawn: Drawn, sizes: Sizes, *, has_golds: bool) -> Iterator[str]:
    """Say what a user should know before step 1."""
    counts = ", ".join(f"{len(entries)} {side}" for side, entries in drawn.sides.items())
    yield f"reasoning_gym/{name}: {counts} questions of {drawn.num} drawn ({drawn.num_again} had been drawn before)"
    missing = [f"{sizes.wanted[side] - len(entries)} {side}" for side, entries in drawn.sides.items()]
    if any(len(entries) < sizes.wanted[side] for side, entries in drawn.sides.items()):
        yield f"reasoning_gym/{name} seems to have no more different questions; missing: {', '.join(missing)}"
    if not has_golds:
        yield f"reasoning_gym/{name} has questions without a single gold answer: its scorer could not be tried on them"
