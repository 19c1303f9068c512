"""The same responses through lmms-eval and through `nearfuture evaluate`: is every verdict the same?

    cd FIXTURES && python .../integrations/lmms_eval/parity.py     # in lmms-eval's own environment

FIXTURES is a folder that mirrors the data sets' repositories: `scripts/build_benchmark_fixtures.py` makes one, and the
real data do as well. Responses are made up from each row: right and wrong answers in the forms that models write.

Not here: the tasks (`tasks/`), running a model (README.md).
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import cpu_torchvision  # noqa: F401 (before whatever imports torchvision)

from nearfuture.lab.evaluate.benchmarks import PAPER
from nearfuture.lab.evaluate.benchmarks.loading import Rows, as_rgb, load_part
from nearfuture.lab.evaluate.suites import judge_answers

Row = dict[str, Any]
TASKS = Path(__file__).parent / "tasks"


def respond(row: Mapping[str, Any], turn: int) -> str:
    """A made-up response: one of many forms, by the row and the turn."""
    gold = row["gold"]
    forms = (
        f"The sum is clear. \\boxed{{{gold}}}",
        f"<think>Is it \\boxed{{0}}? No.</think>The answer is {gold}.",
        f"<answer>{gold}</answer>",
        "\\boxed{B}" if row["kind"] == "mcq" else "\\boxed{17}",
        f"\\boxed{{{gold}}} or \\boxed{{C}}",
        f"I think about it and then \\boxed{{{gold}",
        "<think>This goes on and on",
        f"**{gold}**",
        row["options"][0] if row["options"] else f"It is about {gold}, maybe.",
        "I do not know.",
        "",
        f"Answer: ({gold})",
    )
    digest = hashlib.sha256(f"{row['uid']}/{turn}".encode()).digest()
    return forms[int.from_bytes(digest[:4], "big") % len(forms)]


def rows_by_task() -> dict[str, list[Row]]:
    """The rows of every task, images undecoded, in the order of the documents."""
    return {
        f"npo_{part.name}": list(Rows([load_part(part, Path.cwd())], [part.row]).facts())
        for benchmark in PAPER
        for part in benchmark.parts
    }


def ours(rows: Mapping[str, list[Row]], responses: Mapping[str, list[str]]) -> dict[str, str]:
    """The verdict of every question, as `nearfuture evaluate` judges it."""
    return {
        row["uid"]: verdict.value
        for task in rows
        for row, (verdict, _) in zip(rows[task], judge_answers(responses[task], rows[task]), strict=True)
    }


def theirs(responses: Mapping[str, list[str]]) -> tuple[dict[str, str], dict[str, list[Any]], dict[str, Any]]:
    """The verdict of every question, the prompts of every task, and the numbers, as lmms-eval has them."""
    from lmms_eval.api.model import lmms
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    prompts: dict[str, list[Any]] = {task: [None] * len(given) for task, given in responses.items()}

    class Scripted(lmms):
        """Reads the prompts as a chat model does, and hands out the responses it was given."""

        is_simple = False

        def generate_until(self, requests: Any) -> list[str]:
            for _, doc_to_messages, _, doc_id, task, split in (request.args for request in requests):
                prompts[task][doc_id] = doc_to_messages(self.task_dict[task][split][doc_id])
            return [responses[request.args[4]][request.args[3]] for request in requests]

        def loglikelihood(self, requests: Any) -> Any:
            raise AssertionError("the tasks of the overlay generate, one turn each")

        def generate_until_multi_round(self, requests: Any) -> Any:
            raise AssertionError("the tasks of the overlay generate, one turn each")

    tasks = [f"npo_{benchmark.name}" for benchmark in PAPER]
    manager = TaskManager(include_path=str(TASKS))
    output = simple_evaluate(model=Scripted(), tasks=tasks, task_manager=manager, bootstrap_iters=0, batch_size=1)
    found = [sample["extracted"] for samples in output["samples"].values() for sample in samples]
    return {one["uid"]: one["verdict"] for one in found}, prompts, output["results"]


def is_same_prompt(row: Row, messages: Any) -> bool:
    """True where lmms-eval's messages have the row's texts and images, each in its place."""
    blocks = [block for message in messages for block in message["content"]]
    wanted = [block for message in row["prompt"] for block in message["content"]]
    images = [block["url"].tobytes() for block in blocks if block["type"] == "image"]
    return [block.get("text") for block in blocks] == [block.get("text") for block in wanted] and images == [
        as_rgb(image).tobytes() for image in row["images"] or []
    ]


def main() -> int:
    """Compare, and print a table."""
    num_turns = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows = rows_by_task()
    counts: Counter[str] = Counter()
    num_verdicts = num_prompts = 0
    numbers: dict[str, Any] = {}
    for turn in range(num_turns):
        responses = {task: [respond(row, turn) for row in found] for task, found in rows.items()}
        mine = ours(rows, responses)
        verdicts, prompts, numbers = theirs(responses)
        assert mine.keys() == verdicts.keys(), "the two paths asked different questions"
        for uid in [uid for uid in mine if mine[uid] != verdicts[uid]]:
            num_verdicts += 1
            print(f"{uid}: ours {mine[uid]}, lmms-eval {verdicts[uid]}")
        pairs = [pair for task in rows for pair in zip(rows[task], prompts[task], strict=True)]
        num_prompts += sum(not is_same_prompt(row, messages) for row, messages in pairs)
        counts.update(verdicts.values())
    told = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
    print(f"{counts.total()} verdicts in {num_turns} turns: {told}")
    print(f"differing: {num_verdicts} verdicts, {num_prompts} prompts")
    for task, found in sorted(numbers.items()):
        shown = {key.partition(",")[0]: value for key, value in found.items() if isinstance(value, float)}
        print(f"{task:24s} " + "  ".join(f"{key} {value:.3f}" for key, value in shown.items() if "stderr" not in key))
    return int(num_verdicts + num_prompts > 0)


if __name__ == "__main__":
    raise SystemExit(main())
