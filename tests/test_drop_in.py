"""Without guidance `NPOTrainer` is `GRPOTrainer`: the same bits, or the same exception, whatever it is called with.

A case builds a trainer and uses it; it is run with both classes, with the very same arguments (a `GRPOConfig` where
the case does not say otherwise). Equal must be: every weight, every metric of TRL's at every step, what the reward
functions were asked (names and values), and which checkpoints lie on the disk. The last law counts the arguments: none
of TRL's constructor is left out.

Not here: settings of the loss and of generation with guidance (`test_oracle`), several processes.
"""

from __future__ import annotations

import functools
import inspect
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tiny
import tiny_chat
import tiny_vl
import torch
from datasets import Dataset, IterableDataset
from peft import LoraConfig, get_peft_model
from slices import leave
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl.experimental.gmpo import GMPOConfig, GMPOTrainer

from nearfuture.train import NPOConfig, NPOTrainer
from nearfuture.train.vision.processor import load_for_training

Kind = type[GRPOTrainer]
ON_CPU = {"bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False, "save_strategy": "no"}


@functools.cache
def chat_model() -> str:
    return str(tiny_chat.save_model(Path(tempfile.mkdtemp()) / "model"))


@functools.cache
def vision_model() -> str:
    return str(tiny_vl.save_model(Path(tempfile.mkdtemp()) / "model"))


@dataclass
class World:
    """What a case is given: which trainer, where to write, a place for what the reward functions were asked, and one
    for the names of the arguments the trainer was given.
    """

    kind: Kind
    folder: Path
    asked: list[Any] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    def config(self, **settings: Any) -> GRPOConfig:
        return GRPOConfig(str(self.folder / "out"), **(tiny.SETTINGS | ON_CPU | settings))

    def length(self, completions: list[Any], **columns: Any) -> list[float]:
        """A reward that takes note of everything it is asked."""
        lists = {
            name: values for name, values in columns.items() if isinstance(values, list) and name != "environments"
        }
        self.asked.append((list(columns), lists, completions))
        texts = [one if isinstance(one, str) else one[-1].get("content", "") for one in completions]
        return [float(sum(map(ord, text)) % 7) for text in texts]

    def make(self, *positional: Any, **arguments: Any) -> Any:
        """A trainer; what is not given is that of the world that ships."""
        names = list(inspect.signature(GRPOTrainer.__init__).parameters)[1:]
        self.given.update(names[: len(positional)], arguments)
        if not positional:
            settings = {name: arguments.pop(name) for name in list(arguments) if name not in names}
            arguments = {
                "model": tiny.TASK.model,
                "reward_funcs": self.length,
                "train_dataset": text_rows(),
            } | arguments
            arguments.setdefault("args", self.config(**settings))
        return tiny._quiet(self.kind(*positional, **arguments))

    def trained(self, *positional: Any, **arguments: Any) -> Any:
        trainer = self.make(*positional, **arguments)
        trainer.train()
        return trainer


def text_rows(num_prompts: int = 12) -> Dataset:
    return Dataset.from_list(tiny.rows(num_prompts)).select_columns(["prompt", "answer"])


def messages(num_prompts: int = 8) -> Dataset:
    return Dataset.from_list([{"prompt": [{"role": "user", "content": f"{i}?"}]} for i in range(num_prompts)])


def pictures(num_prompts: int = 8) -> Dataset:
    return Dataset.from_list(tiny_vl.rows(num_prompts)).select_columns(["prompt", "images", "answer"])


# ---- the constructor


def positional(world: World) -> Any:
    return world.trained(tiny.TASK.model, world.length, world.config(), text_rows(), text_rows(4))


def model_object(world: World) -> Any:
    return world.trained(model=AutoModelForCausalLM.from_pretrained(tiny.TASK.model))


def npo_config(world: World) -> Any:
    config = NPOConfig if world.kind is NPOTrainer else GRPOConfig
    return world.trained(args=config(str(world.folder / "out"), **(tiny.SETTINGS | ON_CPU)))


def config_of_ones_own(world: World) -> Any:
    @dataclass
    class Mine(GRPOConfig):
        extra: int = 3

    args = Mine(str(world.folder / "out"), generation_batch_size=32, **(tiny.SETTINGS | ON_CPU))
    trainer = world.trained(args=args)
    assert trainer.args is args
    return trainer


def several_rewards(world: World) -> Any:
    async def later(completions: list[str], **_: Any) -> list[float]:
        return [float("1" in completion) for completion in completions]

    def sometimes(completions: list[str], **_: Any) -> list[float | None]:
        return [None if len(completion) > 4 else 1.0 for completion in completions]

    return world.trained(reward_funcs=[sometimes, later, world.length], reward_weights=[0.5, 2.0, 1.0])


def strict_reward(world: World) -> Any:
    def strict(
        prompts: Any,
        completions: Any,
        completion_ids: Any,
        answer: Any,
        trainer_state: Any,
        log_extra: Any,
        log_metric: Any,
    ) -> list[float]:
        log_extra("twice", [f"{text}{text}" for text in completions])
        log_metric("mean_length", sum(map(len, completions)) / len(completions))
        return world.length(completions, answer=answer, step=[trainer_state.global_step])

    return world.trained(reward_funcs=strict)


def reward_models(world: World) -> Any:
    judge = f"{chat_model()}/judge"
    return world.trained(
        model=chat_model(),
        train_dataset=messages(),
        reward_funcs=[judge, world.length],
        reward_processing_classes=[AutoTokenizer.from_pretrained(judge), None],
    )


def processing_class(world: World) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(tiny.TASK.model, padding_side="left", truncation_side="left")
    return world.trained(processing_class=tokenizer)


def evaluation_sets(world: World) -> Any:
    sets = {"one": text_rows(4), "other": text_rows(8)}
    return world.trained(
        eval_dataset=sets, eval_strategy="steps", eval_steps=1, eval_on_start=True, num_generations_eval=2
    )


def callbacks(world: World) -> Any:
    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 1

    return world.trained(callbacks=[Stop()])


def optimizers(world: World) -> Any:
    model = AutoModelForCausalLM.from_pretrained(tiny.TASK.model)
    return world.trained(model=model, optimizers=(torch.optim.SGD(model.parameters(), lr=0.5), None))


def adapter(world: World) -> Any:
    return world.trained(peft_config=LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.1), beta=0.1)


def adapted_model(world: World) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(tiny.TASK.model)
    return world.trained(model=get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])), beta=0.1)


def quantized(world: World) -> Any:
    """What must be there for it is not: the same exception."""
    from transformers import BitsAndBytesConfig

    return world.trained(quantization_config=BitsAndBytesConfig(load_in_4bit=True))


def streamed(world: World) -> Any:
    return world.trained(train_dataset=IterableDataset.from_generator(lambda: iter(tiny.rows(12))))


def no_shuffling(world: World) -> Any:
    return world.trained(shuffle_dataset=False, num_train_epochs=1, max_steps=-1)


def workers(world: World) -> Any:
    return world.trained(dataloader_num_workers=1)


def rollouts(world: World, mask: bool = False) -> Any:
    """The world outside says what was right: it reaches the rewards as columns."""

    def rollout(prompts: list[str], trainer: Any) -> dict[str, Any]:
        tokenizer = trainer.processing_class
        written = [tokenizer(prompt[: 1 + i % 3])["input_ids"] for i, prompt in enumerate(prompts)]
        found = {
            "prompt_ids": [tokenizer(prompt)["input_ids"] for prompt in prompts],
            "completion_ids": written,
            "logprobs": [[-0.5] * len(ids) for ids in written],
            "won": [float(i % 4 == 0) for i in range(len(prompts))],
            "world": "chess",
        }
        return found | ({"env_mask": [[i % 2 for i in range(len(ids))] for ids in written]} if mask else {})

    def winner(completions: list[str], won: list[float], world: list[str], **columns: Any) -> list[float]:
        assert world == ["chess"] * len(completions)
        return [a + b for a, b in zip(won, seen(completions, won=won, **columns), strict=True)]

    seen = world.length
    return world.trained(rollout_func=rollout, reward_funcs=winner)


def multiply(a: int, b: int) -> int:
    """Multiply two numbers.

    Args:
        a: one.
        b: the other.
    """
    return a * b


def tools(world: World) -> Any:
    trainer = world.make(model=chat_model(), train_dataset=messages(), tools=[multiply], max_completion_length=200)
    wrong = tiny_chat.tool_call("multiply", '{"a": 3}')
    tiny_chat.scripted(trainer, [tiny_chat.tool_call("multiply", '{"a": 3, "b": 4}'), "no<|im_end|>", wrong])
    trainer.train()
    return trainer


class Counter:
    """An environment that counts; it says itself how well it went."""

    def reset(self, **row: Any) -> str:
        assert "prompt_id" not in row
        self.count = 0
        return " Count."

    def increase(self, by: int) -> int:
        """Count on.

        Args:
            by: how far.
        """
        self.count += by
        return self.count

    def get_reward(self) -> float:
        return float(self.count)


class Silent:
    """An environment without a reward and without an observation."""

    def reset(self, **row: Any) -> None:
        return None

    def look(self) -> str:
        """Look around."""
        return "dark"


CALLS = [tiny_chat.tool_call("increase", '{"by": 2}'), tiny_chat.tool_call("look", "{}"), "no<|im_end|>"]


def environment(world: World) -> Any:
    """It owns data and reward: neither is given."""
    trainer = world.make(
        model=chat_model(),
        environment_factory=Counter,
        train_dataset=None,
        reward_funcs=None,
        max_completion_length=200,
    )
    tiny_chat.scripted(trainer, CALLS)
    trainer.train()
    return trainer


def environments(world: World) -> Any:
    """Several, chosen by a column; there is no other."""
    trainer = world.make(
        model=chat_model(),
        environment_factory={"counter": Counter, "silent": Silent},
        train_dataset=Dataset.from_dict({"environment": ["counter", "silent"] * 4}),
        max_completion_length=200,
    )
    tiny_chat.scripted(trainer, CALLS)
    trainer.train()
    return trainer


def conversation(world: World) -> Any:
    return world.trained(model=chat_model(), train_dataset=messages(), chat_template_kwargs={"enable_thinking": False})


CODE = """
from transformers import Qwen3Config, Qwen3ForCausalLM


class HomemadeConfig(Qwen3Config):
    model_type = "homemade"


class HomemadeForCausalLM(Qwen3ForCausalLM):
    config_class = HomemadeConfig
"""


def remote_code(world: World) -> Any:
    """A model whose classes lie beside its weights: asked for nothing but what the user allows."""
    folder = Path(shutil.copytree(tiny.TASK.model, world.folder / "homemade"))
    (folder / "homemade.py").write_text(CODE)
    settings = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "homemade.HomemadeConfig", "AutoModelForCausalLM": "homemade.HomemadeForCausalLM"}
    settings |= {"model_type": "homemade", "architectures": ["HomemadeForCausalLM"], "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(settings))
    trainer = world.trained(model=str(folder), trust_remote_code=True)
    assert type(trainer.model).__name__ == "HomemadeForCausalLM"
    return trainer


CONSTRUCTOR: dict[str, Callable[[World], Any]] = {
    name.__name__: name
    for name in (
        positional,
        model_object,
        npo_config,
        config_of_ones_own,
        several_rewards,
        strict_reward,
        reward_models,
        processing_class,
        evaluation_sets,
        callbacks,
        optimizers,
        adapter,
        adapted_model,
        quantized,
        streamed,
        no_shuffling,
        workers,
        rollouts,
        tools,
        environment,
        environments,
        conversation,
        remote_code,
    )
} | {"rollouts with a mask": functools.partial(rollouts, mask=True)}


# ---- data that comes as it is read


def transformed(world: World) -> Any:
    def shout(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        return {"prompt": batch["prompt"], "answer": [answer + answer for answer in batch["answer"]]}

    return world.trained(train_dataset=text_rows().with_transform(shout))


def drawn_when_read(world: World, num_images: int = 1) -> Any:
    """Images that no column holds; each reading draws them anew."""

    def draw(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        at = [int(torch.randint(9, ())) for _ in batch["prompt"]]
        images = [[tiny_vl.picture(colour, (32, 32), x)] for colour, x in zip(batch["answer"], at, strict=True)]
        return {"prompt": batch["prompt"], "images": images}

    return vision(world, train_dataset=pictures().select_columns(["prompt", "answer"]).with_transform(draw))


def recoloured(world: World) -> Any:
    """A column of images, changed at random at each reading."""

    def change(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        shift = [int(torch.randint(4, ())) for _ in batch["images"]]
        turned = [[image.rotate(90 * x) for image in images] for images, x in zip(batch["images"], shift, strict=True)]
        return {"prompt": batch["prompt"], "images": turned}

    return vision(world, train_dataset=pictures().with_transform(change))


def vision(world: World, **arguments: Any) -> Any:
    arguments = {"train_dataset": pictures(), "model": vision_model(), "max_completion_length": 6} | arguments
    return world.trained(processing_class=load_for_training(vision_model()), **arguments)


def one_image_column(world: World) -> Any:
    rows = [{"prompt": row["prompt"], "image": row["images"][0]} for row in tiny_vl.rows(8)]
    return vision(world, train_dataset=Dataset.from_list(rows), beta=0.1)


DATA = {name.__name__: name for name in (transformed, drawn_when_read, recoloured, vision, one_image_column)}


# ---- calls


def train_by_position(world: World) -> Any:
    trainer = world.make()
    trainer.train(None, None, None)
    return trainer


def train_false(world: World) -> Any:
    trainer = world.make()
    trainer.train(resume_from_checkpoint=False)
    return trainer


def train_twice(world: World) -> Any:
    trainer = world.trained()
    trainer.train()
    return trainer


def evaluate(world: World) -> Any:
    trainer = world.make(eval_dataset=text_rows(4))
    world.asked.append(tiny_metrics(trainer.evaluate()))
    world.asked.append(tiny_metrics(trainer.evaluate(text_rows(8), metric_key_prefix="other")))
    trainer.train()
    world.asked.append(tiny_metrics(trainer.evaluate(eval_dataset={"a": text_rows(4)})))
    return trainer


def tiny_metrics(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if not name.endswith(tiny.TIMES)}


SAVING = {"max_steps": 4, "save_strategy": "steps", "save_steps": 1}


def resume(world: World) -> Any:
    world.trained(**SAVING)
    trainer = world.make(**SAVING)
    trainer.train(resume_from_checkpoint=str(world.folder / "out" / "checkpoint-2"))
    return trainer


def resume_latest(world: World) -> Any:
    """Inside the first epoch: in a later one TRL goes on with the prompts of the first, and we do not."""
    world.trained(**SAVING, train_dataset=text_rows(32))
    trainer = world.make(**(SAVING | {"max_steps": 6}), train_dataset=text_rows(32))
    trainer.train(True)
    return trainer


def worse_and_worse(world: World, **settings: Any) -> Any:
    """The first evaluation is the best."""
    start = iter(range(100))

    def falling(completions: list[str], **_: Any) -> list[float]:
        worse = 10 * next(start)
        return [float(sum(map(ord, text)) % 7 - worse) for text in completions]

    evaluated = {
        "eval_dataset": text_rows(4),
        "eval_strategy": "steps",
        "eval_steps": 1,
        "per_device_eval_batch_size": 16,
    }
    best = {"metric_for_best_model": "eval_reward", "greater_is_better": True}
    return world.trained(reward_funcs=falling, **(SAVING | evaluated | best | settings))


def weights_only(world: World) -> Any:
    return world.trained(**SAVING, save_only_model=True)


def logged_completions(world: World) -> Any:
    return world.trained(log_completions=True, num_completions_to_print=1, log_unique_prompts=True)


CALLED: dict[str, Callable[[World], Any]] = {
    name.__name__: name
    for name in (train_by_position, train_false, train_twice, evaluate, resume, resume_latest, weights_only)
} | {
    "best at the end, one kept": functools.partial(worse_and_worse, load_best_model_at_end=True, save_total_limit=1),
    "best at the end, two kept": functools.partial(worse_and_worse, load_best_model_at_end=True, save_total_limit=2),
    "best at the end, all kept": functools.partial(worse_and_worse, load_best_model_at_end=True),
    "only better ones saved": functools.partial(worse_and_worse, save_strategy="best", save_total_limit=2),
    "three kept": functools.partial(worse_and_worse, save_total_limit=3),
    "no limit": functools.partial(worse_and_worse, save_total_limit=0),
}


# ---- subclasses, which know nothing of guidance


def own_rewards(world: World) -> Any:
    class Mine(world.kind):  # type: ignore[misc, name-defined]
        def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
            return torch.tensor([[float(sum(ids) % 5)] for ids in completion_ids_list])

    return dataclass_world(world, Mine).trained()


def penalized_rewards(world: World) -> Any:
    class Mine(world.kind):  # type: ignore[misc, name-defined]
        def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
            lengths = torch.tensor([[float(len(ids))] for ids in completion_ids_list])
            return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list) - 0.1 * lengths

    return dataclass_world(world, Mine).trained()


def own_loss(world: World) -> Any:
    class Mine(world.kind):  # type: ignore[misc, name-defined]
        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
            mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
            width = inputs["completion_ids"].size(1)
            logps, _, _ = self._get_per_token_logps_and_entropies(model, ids, mask, width)
            return -(inputs["advantages"][:, None] * logps * inputs["completion_mask"]).sum()

    return dataclass_world(world, Mine).trained()


def geometric(world: World) -> Any:
    bases = (NPOTrainer, GMPOTrainer) if world.kind is NPOTrainer else (GMPOTrainer,)
    config = GMPOConfig(str(world.folder / "out"), num_iterations=2, **(tiny.SETTINGS | ON_CPU))
    return dataclass_world(world, type("Mine", bases, {})).trained(args=config)


def dataclass_world(world: World, kind: Kind) -> World:
    return World(kind, world.folder, world.asked)


SUBCLASSES = {name.__name__: name for name in (own_rewards, penalized_rewards, own_loss, geometric)}


# ---- settings that change what a step does

SETTINGS: dict[str, dict[str, Any]] = {
    "top-p, top-k, min-p, penalty": {"top_p": 0.9, "top_k": 5, "min_p": 0.01, "repetition_penalty": 1.1},
    "beams": {"generation_kwargs": {"num_beams": 2, "length_penalty": -0.1}},
    "truncated masked": {"mask_truncated_completions": True, "max_completion_length": 4},
    "entropy filter": {"top_entropy_quantile": 0.2},
    "entropy controller": {"use_adaptive_entropy": True, "entropy_target": 0.5},
    "off-policy mask": {"off_policy_mask_threshold": 0.5, "num_iterations": 2},
    "sequence level": {"importance_sampling_level": "sequence", "num_iterations": 2},
    "reference, corrected": {
        "beta": 0.1,
        "use_bias_correction_kl": True,
        "sync_ref_model": True,
        "ref_model_sync_steps": 1,
    },
    "batch scale": {"scale_rewards": "batch"},
    "normalize then sum": {"multi_objective_aggregation": "normalize_then_sum"},
    "delta": {"delta": 2.0, "num_iterations": 2},
    "head in float32": {"cast_lm_head_to_fp32": True},
    "more generations than a batch": {"num_generations": 32, "gradient_accumulation_steps": 2},
    "padded": {"pad_to_multiple_of": 8},
    **{loss: {"loss_type": loss, "num_iterations": 2} for loss in ("bnpo", "dr_grpo", "sapo", "luspo", "vespo")},
}


# ---- what cannot be: the same exception

REFUSED: dict[str, Callable[[World], Any]] = {
    "no model": lambda world: world.kind(reward_funcs=world.length, args=world.config(), train_dataset=text_rows()),
    "no such argument": lambda world: world.make(data=text_rows(), args=world.config()),
    "twice": lambda world: world.kind(tiny.TASK.model, model=tiny.TASK.model, args=world.config()),
    "no such model": lambda world: world.make(model=str(world.folder / "nothing")),
    "no data": lambda world: world.make(train_dataset=None),
    "no reward": lambda world: world.make(reward_funcs=None),
    "rows in a list": lambda world: world.make(train_dataset=[{"prompt": "1"}]),
    "too few weights": lambda world: world.make(reward_weights=[1.0, 2.0]),
    "too few processing classes": lambda world: world.make(reward_processing_classes=[None, None]),
    "tools without a template": lambda world: world.make(tools=[multiply]),
    "reference of nothing": lambda world: world.make(sync_ref_model=True),
    "no prompt": lambda world: world.trained(train_dataset=text_rows().rename_column("prompt", "question")),
    "messages without a template": lambda world: world.trained(train_dataset=messages()),
    "a reward that miscounts": lambda world: world.trained(reward_funcs=lambda completions, **_: [1.0]),
    "a reward that asks for more": lambda world: world.trained(
        reward_funcs=lambda completions: [1.0] * len(completions)
    ),
    "an evaluation of nothing": lambda world: world.make().evaluate(),
    "no such environment": lambda world: world.trained(
        model=chat_model(),
        environment_factory={"counter": Counter},
        train_dataset=Dataset.from_dict({"environment": ["chess"] * 8}),
    ),
}

CASES: dict[str, Callable[[World], Any]] = {
    **CONSTRUCTOR,
    **DATA,
    **CALLED,
    "logged completions": logged_completions,
    **SUBCLASSES,
    **{name: functools.partial(World.trained, **settings) for name, settings in SETTINGS.items()},
}


LEFT = [
    *(
        "train_by_position",
        "train_false",
        "resume_latest",
        "weights_only",
    ),  # positional, resume
    *("best at the end, two kept", "best at the end, all kept", "three kept", "no limit"),  # "one kept", "only better"
    *("model_object", "adapted_model", "callbacks", "conversation", "rollouts"),  # optimizers, adapter, a mask on top
    *("environments", "recoloured", "vision", "one_image_column"),  # environment, and images drawn when read
    *("own_rewards", "transformed"),  # penalized_rewards calls the original; drawn_when_read has a transform
    *("beams", "entropy filter", "entropy controller", "batch scale", "normalize then sum", "delta"),  # TRL's alone:
    *("head in float32", "padded", "bnpo", "dr_grpo", "sapo", "luspo"),  # nothing of ours is on their way
]
"""What `make test-long` runs as well; beside it, what holds the same way through our code in the suite."""


def checkpoints(trainer: Any) -> list[str]:
    return sorted(path.name for path in Path(trainer.args.output_dir).glob("checkpoint-*"))


def outcome(case: Callable[[World], Any], world: World) -> tuple[Any, Exception | None]:
    try:
        return case(world), None
    except Exception as error:  # noqa: BLE001 (which one is what is compared)
        return None, error


@pytest.mark.parametrize("name", leave(LEFT, CASES))
def test_the_same_bits(tmp_path: Path, name: str) -> None:
    worlds = World(GRPOTrainer, tmp_path / "theirs"), World(NPOTrainer, tmp_path / "ours")
    (theirs, expected), (ours, found) = (outcome(CASES[name], world) for world in worlds)
    if expected is not None or found is not None:
        assert (type(found), str(found)) == (type(expected), str(expected))
        assert name == "quantized", "every other case is one that trains"
        return
    tiny.assert_same_run(ours, theirs)
    assert worlds[1].asked == worlds[0].asked
    assert checkpoints(ours) == checkpoints(theirs)
    assert ours.state.best_global_step == theirs.state.best_global_step
    assert ours.args.save_total_limit == theirs.args.save_total_limit
    assert any(row.get("grad_norm") for row in theirs.state.log_history), "nothing was learned, so nothing was compared"


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_exception(tmp_path: Path, name: str) -> None:
    """Its class (or one that is one of them) and, where TRL has words for it, those words."""
    found = []
    for kind in (GRPOTrainer, NPOTrainer):
        with pytest.raises(Exception) as caught:
            REFUSED[name](World(kind, tmp_path / kind.__name__))
        found.append(caught.value)
    theirs, ours = found
    assert isinstance(ours, type(theirs)), (theirs, ours)


class Halt(Exception):
    """Raised where a trainer would be built: what a case gives is known by then."""


def halt(*_: Any, **__: Any) -> None:
    raise Halt


def test_no_argument_of_the_constructor_is_left_out(tmp_path: Path) -> None:
    given: set[str] = set()
    for case in CONSTRUCTOR.values():
        world = World(halt, tmp_path)  # type: ignore[arg-type]
        outcome(case, world)
        given |= world.given
    assert given >= set(inspect.signature(GRPOTrainer.__init__).parameters) - {"self"}
