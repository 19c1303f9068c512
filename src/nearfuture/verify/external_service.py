"""What a worker runs for the user's own verifier: import the file, find its form, turn scores into numbers.

Not here: the forms in words and the parent's side (`external`).
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nearfuture.types import UserError
from nearfuture.verify.files import function_of

SCORE_KEYS = ("accuracy", "acc", "score", "overall")

Items = list[dict[str, Any]]
Form = Callable[[Callable[..., Any], Items], list[Any]]


def make_service(argument: str) -> Callable[[Items | None], Any]:
    """Import the function; an empty request asks the service whether the function takes batches."""
    path, name, spec = json.loads(argument)
    sys.path.insert(0, str(Path(path).parent))
    function = function_of(Path(path), name, key="verifier", spec=spec)
    form, is_batch = form_of(function, spec)

    def serve(items: Items | None) -> Any:
        if items is None:
            return "batch" if is_batch else "one"
        scores = [score_of(answer) for answer in form(function, items)]
        if len(scores) != len(items):
            raise ValueError(f"{name} returned {len(scores)} scores for {len(items)} responses")
        return scores

    return serve


def form_of(function: Callable[..., Any], spec: str) -> tuple[Form, bool]:
    """Tell a function's form from its parameters, and whether one call takes many responses.

    Raises:
        UserError: it has no known form.
    """
    parameters = list(inspect.signature(function).parameters.values())
    names = [parameter.name for parameter in parameters]
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if {"solution_str", "ground_truth"} <= set(names):
        return _verl(names), False
    if len(needed) == 1 and "input" in needed[0]:
        is_batch = needed[0].endswith("s") or getattr(sys.modules[function.__module__], "REWARD_TYPE", "") == "batch"
        return (_easyr1_batch, True) if is_batch else (_easyr1_one, False)
    if len(needed) == 2 and needed[1].startswith("ground_truth"):
        return (_older_batch, True) if needed[1].endswith("s") else (_older_one, False)
    if len(needed) == 2 and needed[1] == "row":
        return _own, False
    raise UserError(
        f"verifier={spec!r} takes ({', '.join(names)}). It must take (data_source, solution_str, ground_truth, "
        "extra_info=None) as in verl, (reward_inputs) as in EasyR1, (predict, ground_truth), or (completion, row)."
    )


def score_of(answer: Any) -> float | None:
    """Read the score from what a verifier returned; None means that the row cannot be judged.

    Raises:
        TypeError: it contains no number.
    """
    if isinstance(answer, Mapping):
        found = [answer[key] for key in SCORE_KEYS if key in answer]
        if not found:
            raise TypeError(f"a verifier returned {dict(answer)!r}; its dict must have one of {', '.join(SCORE_KEYS)}")
        answer = found[0]
    elif isinstance(answer, tuple | list) and answer:
        answer = answer[0]
    if answer is None:
        return None
    try:
        return float(answer)
    except (TypeError, ValueError):
        raise TypeError(f"a verifier returned {answer!r}; it must return a number or a dict") from None


def _verl(names: list[str]) -> Form:
    def call(function: Callable[..., Any], items: Items) -> list[Any]:
        answers = []
        for item in items:
            given = {
                "data_source": item["data_source"],
                "solution_str": item["response"],
                "ground_truth": item["ground_truth"],
                "extra_info": item["extra_info"],
            }
            answers.append(function(**{name: given[name] for name in names if name in given}))
        return answers

    return call


def _reward_input(item: dict[str, Any]) -> dict[str, Any]:
    response = item["response"]
    known = {"response": response, "response_length": len(response.split()), "ground_truth": item["ground_truth"]}
    return {**item["extra_info"], "data_source": item["data_source"], **known}


def _easyr1_batch(function: Callable[..., Any], items: Items) -> list[Any]:
    return list(function([_reward_input(item) for item in items]))


def _easyr1_one(function: Callable[..., Any], items: Items) -> list[Any]:
    return [function(_reward_input(item)) for item in items]


def _own(function: Callable[..., Any], items: Items) -> list[Any]:
    return [function(item["response"], item["row"]) for item in items]


def _older_batch(function: Callable[..., Any], items: Items) -> list[Any]:
    return list(function([item["response"] for item in items], [item["ground_truth"] for item in items]))


def _older_one(function: Callable[..., Any], items: Items) -> list[Any]:
    return [function(item["response"], item["ground_truth"]) for item in items]
