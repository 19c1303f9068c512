"""Environments of verifiers as tasks: judged as the package judges, sides that cannot overlap, refusals in words."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import run
from tiny_chat import save_model

pytest.importorskip("verifiers", reason="an extra of its own: pip install -e '.[verifiers]'")

from nearfuture.tasks import judge, load_task
from nearfuture.tasks.gyms import environments
from nearfuture.tasks.gyms.environments import score
from nearfuture.types import NoSignalError, UserError, Verdict

SUMS = """
import verifiers as vf
from datasets import Dataset

def rows(numbers):
    asked = [{"question": f"{n}+1?", "answer": str(n + 1)} for n in numbers]
    return Dataset.from_list([row | {"info": {"n": {"odd": n % 2}}} for row, n in zip(asked, numbers)])

async def correct(parser, completion, answer, state):
    assert len(state["trajectory"]) == 1 and state["prompt"][0]["content"] == "Add."
    return float(parser.parse_answer(completion) == answer)

def tagged(completion):
    return completion[-1]["content"].startswith("<answer>")

def whole(completion, answer):
    return int(completion[-1]["content"]) / int(answer)

def load_environment(num=40, held=None, **options):
    parser = vf.XMLParser(["answer"])
    rubric = vf.Rubric([correct, tagged, whole], weights=[1.0, 0.5, 0.0], parser=parser)
    few = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "<answer>2</answer>"}]
    held = None if held is None else rows(range(*held))
    return vf.SingleTurnEnv(
        dataset=rows(range(num)), eval_dataset=held, system_prompt="Add.", few_shot=few, parser=parser, rubric=rubric
    )
"""
GROUP = """
import sums_env
import verifiers as vf

def load_environment():
    return vf.EnvGroup([sums_env.load_environment(num=n) for n in (9, 20)], env_names=["few", "many"])
"""
TASKS = """
import verifiers.v1 as vf

class Data(vf.TaskData):
    n: int

class Sums(vf.Task[Data]):
    @vf.reward(weight=2.0)
    async def correct(self, trace):
        assert self.data.prompt == f"{self.data.n}+1?" and trace.num_turns == 1
        return float(trace.last_reply == str(self.data.n + 1))

    @vf.metric
    async def length(self, trace):
        return len(trace.last_reply)
{more}
class Config(vf.TasksetConfig):
    first: int = 0

class AllSums(vf.Taskset[Sums, Config]):
    INFINITE = True

    def load(self):
        n = self.config.first
        while True:
            yield Sums(Data(prompt={prompt}, n=n, system_prompt="Add."), self.config.task)
            n += 1
{beside}
__all__ = ["AllSums"{names}]
"""
SMALL = {"num_train": 12, "num_evaluation": 4, "num_test": 4}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module that can be imported while a test runs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def write(name: str, code: str) -> str:
        (tmp_path / f"{name}.py").write_text(code)
        made.append(name)
        return f"verifiers/{name.replace('_', '-')}"

    yield write
    environments.opened.cache_clear()
    for name in made:
        sys.modules.pop(name, None)


def tasks(more: str = "", prompt: str = 'f"{n}+1?"', beside: str = "", names: str = "") -> str:
    return (
        TASKS.replace("{more}", more).replace("{prompt}", prompt).replace("{beside}", beside).replace("{names}", names)
    )


def contents(rows: Any) -> list[str]:
    return [row["prompt"][-1]["content"] for row in rows]


def test_a_row_is_asked_and_scored_as_the_environment_says(make: Any) -> None:
    """1.0 for the answer and 0.5 for the form; a reward of weight 0 that raises on words counts nothing."""
    task = load_task(make("sums_env", SUMS), {**SMALL, "correct_threshold": 1.5, "family": "info.n.odd"})
    row = task.train[0]
    assert [message["role"] for message in row["prompt"]] == ["system", "user", "assistant", "user"]
    answer = str(int(row["prompt"][-1]["content"][:-3]) + 1)
    assert score(f"<answer>{answer}</answer>", row) == 1.5
    assert score(answer, row) == 0.0
    assert score("<answer>words</answer>", row) == 0.5
    assert row["family"] == str((int(answer) + 1) % 2)
    assert any("on an empty answer: Error calling reward function whole" in note for note in task.notes)


def test_sides_do_not_overlap_and_an_own_set_for_evaluation_is_held_out(make: Any) -> None:
    spec = make("sums_env", SUMS)
    task = load_task(spec, SMALL)
    sides = [contents(rows) for rows in (task.train, task.evaluation, task.test)]
    assert [len(set(side)) for side in sides] == [12, 4, 4]
    assert len({text for side in sides for text in side}) == 20
    task = load_task(spec, {**SMALL, "num_train": 100, "num": 30, "held": [25, 45]})
    assert sorted(contents(task.train)) == sorted(f"{n}+1?" for n in range(25))
    held = contents(task.evaluation) + contents(task.test)
    assert len(set(held)) == 8 and set(held) <= {f"{n}+1?" for n in range(25, 45)}
    with pytest.raises(NoSignalError, match="no question is left to train on"):
        load_task(spec, {**SMALL, "num": 5, "held": [0, 20]})


def test_a_group_of_environments_has_a_family_for_each(make: Any) -> None:
    make("sums_env", SUMS)
    task = load_task(make("group_env", GROUP), SMALL)
    assert {row["family"] for row in task.train} == {"few", "many"}
    row = task.train[0]
    assert score(f"<answer>{int(row['prompt'][-1]['content'][:-3]) + 1}</answer>", row) == 1.5


def test_a_taskset_is_asked_and_scored_as_its_tasks_say(make: Any) -> None:
    task = load_task(make("sums_tasks", tasks()), {**SMALL, "first": 7, "prompt": "text"})
    row = task.train[0]
    n = json.loads(row["held"])["row"]["n"]
    assert row["prompt"] == f"Add.\n\n{n}+1?" and n >= 7
    assert score(str(n + 1), row) == 2.0 and score(str(n), row) == 0.0
    assert len({row["prompt"] for rows in (task.train, task.evaluation, task.test) for row in rows}) == 20


def classic(returned: str, before: str = "") -> str:
    return f"import verifiers as vf\nfrom sums_env import *\n{before}\ndef load_environment():\n    return {returned}\n"


NETWORK = """
import socket

def ask(completion):
    try:
        socket.create_connection(("example.org", 80), 1)
    except OSError:
        pass
    return 1.0
"""
TURNS = """
class Turns(vf.MultiTurnEnv):
    async def env_response(self, messages, state, **kwargs):
        return []
"""
IMAGE = """
picture = [{"type": "image_url", "image_url": {"url": "data:"}}]
seen = Dataset.from_list([{"prompt": [{"role": "user", "content": picture}], "answer": "1"}])
"""
REFUSED = {
    "several turns": (classic("Turns(dataset=rows(range(9)), rubric=vf.Rubric([correct]))", TURNS), "several turns"),
    "tools": (classic("vf.ToolEnv(tools=[], dataset=rows(range(9)))"), "several turns"),
    "a judge": (
        classic("vf.SingleTurnEnv(dataset=rows(range(9)), rubric=vf.JudgeRubric(judge_client=object()))"),
        "asks a judge model",
    ),
    "a group": (
        classic(
            "vf.SingleTurnEnv(dataset=rows(range(9)), rubric=vf.Rubric([best]))",
            "def best(completions):\n    return [1.0] * len(completions)",
        ),
        "compare the rollouts of a group",
    ),
    "the network": (
        classic("vf.SingleTurnEnv(dataset=rows(range(9)), rubric=vf.Rubric([ask]))", NETWORK),
        r"asks the network \(example.org\)",
    ),
    "images": (
        classic("vf.SingleTurnEnv(dataset=seen, rubric=vf.Rubric([correct]))", IMAGE),
        "more than text",
    ),
    "a fault": (classic("1 / 0"), "cannot be loaded with task_args {}: division by zero"),
    "a fault at the import": (
        "import os\n\nKEY = os.environ['NO_SUCH_KEY']\n",
        "cannot be imported: KeyError.'NO_SUCH_KEY'",
    ),
    "two tasksets": (
        tasks(beside="class Others(AllSums):\n    pass\n", names=', "Others"'),
        "exports 2 Taskset subclasses",
    ),
    "nothing to load": ("x = 1\n", "is not an environment of verifiers"),
    "a missing package": ("import no_such_package\n", "No module named 'no_such_package'. Install the package"),
    "a user that opens": (tasks(prompt="None"), "a user opens"),
    "a machine": (tasks("    async def setup(self, trace, runtime):\n        pass\n"), "prepares a machine"),
    "a reward of a machine": (
        tasks("    @vf.reward\n    async def file(self, trace, runtime):\n        return 1.0\n"),
        "reward file that needs a machine",
    ),
    "a tool": (
        tasks("    @classmethod\n    def toolsets(cls, config):\n        return [vf.Toolset]\n"),
        "has tools: it has a conversation of several turns",
    ),
    "several seats": (
        tasks(
            beside="class Two(vf.Env[vf.EnvConfig]):\n    async def run(self, task, agents):\n        pass\n",
            names=', "Two"',
        ),
        "is played in Two",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_one_answer_cannot_be_judged_by_is_refused_in_words(what: str, make: Any) -> None:
    make("sums_env", SUMS)
    code, said = REFUSED[what]
    with pytest.raises(UserError, match=said):
        load_task(make("refused_env", code), SMALL)


@pytest.mark.parametrize(
    ("spec", "args", "said"),
    [
        ("verifiers/nowhere", {}, "No module named 'nowhere'. Install the package of the environment"),
        ("verifiers/sums-tasks", {"frist": 1}, "task_args.frist.*Did you mean 'first'"),
        ("verifiers/sums-tasks", {"first": "x"}, r"cannot be loaded with task_args.*first: Input should be"),
        ("verifiers/sums-tasks", {"family": "info.form"}, "a row has no 'info' there"),
        ("verifiers/sums-tasks", {"num_train": 0}, "at least one question"),
    ],
)
def test_arguments_that_cannot_be_are_refused(spec: str, args: dict[str, Any], said: str, make: Any) -> None:
    make("sums_tasks", tasks())
    with pytest.raises(UserError, match=said):
        load_task(spec, args)


def test_an_environment_takes_no_signals_over(make: Any) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    load_task(make("sums_env", SUMS), SMALL)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_marble_that_falls_through_the_ring_is_correct_in_a_worker() -> None:
    pytest.importorskip("marble_v1")
    task = load_task("verifiers/marble-v1", {**SMALL, "pieces": 1})
    row = task.train[0]
    layout = json.loads(row["held"])["row"]["solution"]
    assert judge(task.verify, f"So:\n```json\n{json.dumps(layout)}\n```", row) is Verdict.CORRECT
    missed = [{**piece, "x": -piece["x"] + 20, "rot": 12} for piece in layout]
    assert judge(task.verify, f"```json\n{json.dumps(missed)}\n```", row) is Verdict.WRONG
    assert judge(task.verify, "through the ring, surely", row) is Verdict.WRONG


def test_a_run_trains_on_an_environment_and_its_rubric_judges_the_rollouts(tmp_path: Path) -> None:
    """A model of a few thousand random weights lets no marble through a ring: every rollout is judged, and wrong."""
    pytest.importorskip("marble_v1")
    values = {
        **{"run_dir": str(tmp_path / "run"), "model": str(save_model(tmp_path / "model")), "max_steps": 2},
        **{"task": "verifiers/marble-v1", "task_args": SMALL, "per_device_train_batch_size": 4, "num_generations": 2},
        **{"max_completion_length": 8, "truncated_is_wrong": False, "no_signal_patience": 0},
    }
    config = tmp_path / "run.yaml"
    config.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()))
    code, said = run("train", config)
    assert code == 0 and "its rubric is taken at its word" in said, said
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["verifier/wrong_frac"] for row in rows if "loss" in row] == [1.0, 1.0]


def test_the_example_gets_the_scores_of_reasoning_gym(monkeypatch: pytest.MonkeyPatch) -> None:
    gym = pytest.importorskip("reasoning_gym", reason="one of its packages needs a C compiler to install")
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))
    task = load_task("verifiers/reasoning-environment", {"gym": "gcd", "num": 12, "num_train": 9, "num_evaluation": 3})
    package = gym.create_dataset("gcd", seed=0, size=24)
    for row in task.train:
        entry = package[int(json.loads(row["held"])["row"]["answer"])]
        assert row["prompt"][-1]["content"] == entry["question"]
        for said in (entry["answer"], "0", "none"):
            assert score(f"<answer>{said}</answer>", row) == package.score_answer(said, entry)
