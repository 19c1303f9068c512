"""An environment of the verifiers package in its first form: a module with `load_environment(**args)`.

The environment's own `run_rollout` judges: it is given a client that answers with the completion, so parser, rubric,
weights and states are those of its authors. A reward function that raises counts as 0, as in verifiers.

Not here: the second form (`tasksets`), using the questions and scores (`environments`).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from nearfuture.types import UserError

TURNS = "has a conversation of several turns, and guidance holds one answer to one prompt"


class ClassicEnvironment:
    """The environment that `load_environment` returned.

    Args:
        module: the module that has this function.
        args: the arguments for the function.

    Raises:
        UserError: the environment cannot be loaded, or cannot judge a single answer.
    """

    def __init__(self, module: ModuleType, args: Mapping[str, Any]) -> None:
        import verifiers as vf

        try:
            self.env = vf.load_environment(module.__name__, **args)
        except AttributeError as error:
            raise UserError(
                f"task=verifiers/{module.__name__}: this version of verifiers has no load_environment ({error}). "
                "Install verifiers<0.4."
            ) from None
        self.name = module.__name__
        if reasons := [*_reasons(self.env)]:
            raise UserError(f"task=verifiers/{self.name} {'; it '.join(reasons)}. Choose another environment.")

    @staticmethod
    def parameters(module: ModuleType) -> list[str] | None:
        """Names of the parameters of `load_environment`; None if it takes any."""
        found = inspect.signature(module.load_environment).parameters
        return None if any(one.kind is one.VAR_KEYWORD for one in found.values()) else list(found)

    def train(self) -> Iterator[dict[str, Any]]:
        """Rows of its training set, or of its evaluation set if it has no other."""
        has_train = self.env.build_dataset() is not None
        yield from map(dict, self.env.get_dataset() if has_train else self.env.get_eval_dataset())

    def held_out(self) -> list[dict[str, Any]]:
        """Rows of its evaluation set; none if it has no such set, or no other set."""
        has_both = self.env.build_dataset() is not None and self.env.build_eval_dataset() is not None
        return [dict(row) for row in self.env.get_eval_dataset()] if has_both else []

    def family(self, row: Mapping[str, Any]) -> str | None:
        """The member of a group of environments that a row belongs to."""
        info = row.get("info")
        route = info.get("env_id") if isinstance(info, Mapping) else None
        return route if isinstance(route, str) else None

    def score(self, row: dict[str, Any], completion: str) -> float:
        """The weighted sum of the rubric's rewards."""
        output = asyncio.run(self.env.run_rollout(row, _recorded(completion), "policy", {}))
        if output["error"]:
            raise RuntimeError(f"{self.name}: {output['error']}")
        return float(output["reward"])


def _reasons(env: Any) -> Iterator[str]:
    """Say why an environment cannot judge a single answer by itself."""
    import verifiers as vf

    members = env.envs if isinstance(env, vf.EnvGroup) else [env]
    for one in members:
        if isinstance(one, vf.EnvGroup):
            yield from _reasons(one)
            continue
        kind = type(one).__name__
        if not isinstance(one, vf.SingleTurnEnv) and getattr(one, "max_turns", None) != 1:
            yield f"is a {kind}: it {TURNS}"
        elif one.tool_defs:
            yield f"is a {kind} with tools: it {TURNS}"
        for rubric in _rubrics(one.rubric):
            if isinstance(rubric, vf.JudgeRubric) or "judge" in rubric.class_objects:
                yield f"has a {type(rubric).__name__} that asks a judge model, and rewards here ask no network"
        if one.requires_group_rollouts:
            yield "has reward functions that compare the rollouts of a group, and guidance is judged alone"


def _rubrics(rubric: Any) -> Iterator[Any]:
    yield rubric
    for one in getattr(rubric, "rubrics", ()):
        yield from _rubrics(one)


@functools.cache
def _client() -> Any:
    from verifiers.legacy.clients import OpenAIChatCompletionsClient
    from verifiers.legacy.types import Response, ResponseMessage

    class Recorded(OpenAIChatCompletionsClient):
        """Answers every request with what it was given."""

        async def get_response(self, *_args: Any, **_options: Any) -> Any:
            message = ResponseMessage(content=self.client, finish_reason="stop", is_truncated=False)
            return Response(id="0", created=0, model="policy", message=message)

    return Recorded


def _recorded(completion: str) -> Any:
    return _client()(completion)
