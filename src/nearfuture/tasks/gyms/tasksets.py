"""An environment of the verifiers package in its second form: a module that exports a `Taskset` (`verifiers.v1`).

A taskset yields tasks, which are data with reward functions; conversations are up to a harness. There is no harness
here: the policy answers the prompt once, the answer is recorded as a trace, and the task scores the trace.

Not here: the first form (`classic`), using the questions and scores (`environments`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from nearfuture.types import UserError

TURNS = "a conversation of several turns, and guidance holds one answer to one prompt"
ORIGINAL = "prompt as the task has it"
"""Kept beside the messages, because the task's own rewards may read it."""


class TasksetEnvironment:
    """A taskset with its configuration.

    Args:
        module: the module that exports it.
        args: fields of its configuration.

    Raises:
        UserError: a value is refused, or the taskset cannot judge a single answer.
    """

    def __init__(self, module: ModuleType, args: Mapping[str, Any]) -> None:
        from verifiers.v1.utils import loaders

        self.name = module.__name__
        config = loaders.taskset_config_type(self.name).model_validate({**args, "id": self.name})
        self.taskset = loaders.taskset_class(self.name)(config)
        self.task_type = type(self.taskset).task_type()
        if reasons := [*_reasons(self.name, self.taskset, self.task_type)]:
            raise UserError(f"task=verifiers/{self.name} {'; it '.join(reasons)}. Choose another environment.")

    @staticmethod
    def parameters(module: ModuleType) -> list[str] | None:
        """Names of the fields of its configuration."""
        from verifiers.v1.utils import loaders

        return [name for name in loaders.taskset_config_type(module.__name__).model_fields if name != "id"]

    def train(self) -> Iterator[dict[str, Any]]:
        """The data of its tasks, with the prompt as messages; there may be infinitely many."""
        for task in self.taskset:
            data = task.data.model_dump(mode="json", exclude_none=True)
            yield {**data, "prompt": _messages(task.data), ORIGINAL: data["prompt"]}

    def held_out(self) -> list[dict[str, Any]]:
        """Empty: a taskset has no sides."""
        return []

    def family(self, row: Mapping[str, Any]) -> str | None:
        """None: all tasks of a taskset are of one kind."""
        return None

    def score(self, row: dict[str, Any], completion: str) -> float:
        """The weighted sum of the rewards."""
        data = {name: value for name, value in row.items() if name != ORIGINAL} | {"prompt": row[ORIGINAL]}
        task = self.task_type(self.task_type.data_type().model_validate(data), self.taskset.config.task)
        trace = _trace(task, row["prompt"], completion)
        asyncio.run(task.score(trace))
        return float(trace.reward)


def _messages(data: Any) -> list[dict[str, Any]]:
    system = [{"role": "system", "content": data.system_prompt}] if data.system_prompt else []
    if isinstance(data.prompt, str):
        return [*system, {"role": "user", "content": data.prompt}]
    return [*system, *(one.model_dump(mode="json", exclude_none=True) for one in data.prompt or [])]


def _trace(task: Any, prompt: list[dict[str, Any]], completion: str) -> Any:
    """Return the conversation as a harness would have recorded it: the prompt and one answer."""
    from verifiers.v1 import AgentConfig, AgentInfo, MessageNode, Trace, TraceTask
    from verifiers.v1.state import state_cls

    messages = [*prompt, {"role": "assistant", "content": completion}]
    nodes = [
        MessageNode.model_validate({"parent": i - 1 if i else None, "message": one, "sampled": i == len(prompt)})
        for i, one in enumerate(messages)
    ]
    return Trace(
        task=TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash),
        agent=AgentInfo(config=AgentConfig()),
        state=state_cls(type(task))(),
        nodes=nodes,
        is_completed=True,
        ok=True,
    )


def _reasons(name: str, taskset: Any, kind: Any) -> Iterator[str]:
    """Say why a taskset cannot judge a single answer by itself."""
    from verifiers.v1 import SingleAgentEnv, Task
    from verifiers.v1.utils import loaders

    if (seats := loaders.environment_class(name)) is not SingleAgentEnv:
        yield f"is played in {seats.__name__}: it has {TURNS}"
    if loaders.default_harness_id(name) == name:
        yield f"brings a harness of its own: it has {TURNS}"
    if type(taskset).toolsets(taskset.config) or kind.toolsets(taskset.config.task):
        yield f"has tools: it has {TURNS}"
    if kind.NEEDS_CONTAINER or any(getattr(kind, hook) is not getattr(Task, hook) for hook in ("setup", "finalize")):
        yield "prepares a machine to work on, which does not exist here"
    if taskset.config.task.judges:
        yield "asks a judge model, and rewards here ask no network"
    task = next(iter(taskset), None)
    if task is None:
        return
    if task.data.prompt is None:
        yield f"has no prompt, since a user opens: it has {TURNS}"
    for reward in task.hooks("reward"):
        machine = inspect.signature(reward).parameters.get("runtime")
        if machine is not None and machine.default is inspect.Parameter.empty:
            yield f"has a reward {reward.__name__} that needs a machine to look at, which does not exist here"
