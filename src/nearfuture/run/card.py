"""The model card of a run's final policy: what trained it, with which settings, its lineage, cost and held-out numbers.

`README.md` as the Hub reads it, with its metadata. It is a function of the run's records and holds no clock, so that a
run that was killed and resumed has the same one. What is not known (a licence) is left out.

Not here: the policy beside it (`nearfuture.run.whole`), the report (`nearfuture.lab.report`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from scipy.stats import binomtest

from nearfuture.record.ledger import build_ledger
from nearfuture.record.listing import method_of
from nearfuture.record.records import EVALUATION, Curve, RunRecords
from nearfuture.run.readings import lineage_line

NAME = "README.md"
ON_THE_HUB = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
ABSOLUTE = re.compile(r"(?<![\w.])/\S*/(?=\S)")
"""A path on the machine of the run, up to the last part, which is nobody's business on the Hub."""
PAPER = "[Near-Future Policy Optimization](https://arxiv.org/abs/2604.20733)"

LOADING = {
    "text": """from transformers import AutoModelForCausalLM, AutoTokenizer

name = "."  # this folder, or its repository
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoModelForCausalLM.from_pretrained(name)""",
    "text adapter": """from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

name = "."  # this folder, or its repository
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoPeftModelForCausalLM.from_pretrained(name)  # and its base; merge_and_unload() makes one of both""",
    "images": """from transformers import AutoModelForImageTextToText, AutoProcessor

name = "."  # this folder, or its repository
processor = AutoProcessor.from_pretrained(name)
model = AutoModelForImageTextToText.from_pretrained(name)""",
    "images adapter": """from peft import PeftConfig, PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor

name = "."  # this folder, or its repository
processor = AutoProcessor.from_pretrained(name)
base = AutoModelForImageTextToText.from_pretrained(PeftConfig.from_pretrained(name).base_model_name_or_path)
model = PeftModel.from_pretrained(base, name)""",
}


def write_card(records: RunRecords, base: str, folder: Path) -> None:
    """Write the card of the policy in `folder`, trained from the model `base` (a name on the Hub, or a folder)."""
    is_adapter = (folder / "adapter_config.json").exists()
    sees = any((folder / name).exists() for name in ("preprocessor_config.json", "processor_config.json"))
    kind = ("images" if sees else "text") + (" adapter" if is_adapter else "")
    method, *kinds = method_of(records.config, records.lineage).split()
    sections = (
        f"# {_name_of(records, base)}, trained with {method}" + (f" ({', '.join(kinds)})" if kinds else ""),
        f"A policy trained with verifiable rewards by `nearfuture`, which is {PAPER} on TRL's `GRPOTrainer`.",
        "\n".join(_facts(records, base)),
        "## Held-out prompts",
        "\n".join(_held_out(records)),
        "## How to load it",
        f"```python\n{LOADING[kind]}\n```",
        "## Settings",
        f"```yaml\n{_settings(records)}\n```",
    )
    metadata = _metadata(records, base, kind, method)
    (folder / NAME).write_text(f"---\n{metadata}\n---\n\n" + "\n\n".join(sections) + "\n", encoding="utf-8")


def _metadata(records: RunRecords, base: str, kind: str, method: str) -> str:
    """What the Hub searches by. It refuses a card that gives the name of a folder for the name of a repository."""
    data = str(records.config.get("dataset_name", ""))
    found = ModelCardData(
        base_model=base if is_on_the_hub(base) else None,
        datasets=[data] if "/" in data and is_on_the_hub(data) else None,
        library_name="peft" if "adapter" in kind else "transformers",
        license=_licence(Path(base)),
        pipeline_tag="image-text-to-text" if "images" in kind else "text-generation",
        tags=["nearfuture", "trl", "reinforcement-learning", "rlvr", method, *(["lora"] if "adapter" in kind else [])],
    )
    return str(found.to_yaml()).strip()


def _name_of(records: RunRecords, base: str) -> str:
    """The base model's name on the Hub, or of its folder; of a task's own model that of the task."""
    if is_on_the_hub(base):
        return base
    return Path(base).name if records.config.get("model") else f"the model of {_data_of(records)}"


def _data_of(records: RunRecords) -> str:
    return ABSOLUTE.sub("", str(records.config.get("task") or records.config.get("dataset_name")))


def is_on_the_hub(name: str) -> bool:
    """True for what is spelt like a repository and is no folder or file here."""
    return ON_THE_HUB.fullmatch(name) is not None and not Path(name).exists()


def _licence(base: Path) -> str | None:
    """The licence that the base model's own card names, where the model lies in a folder with one."""
    card = base / NAME
    return ModelCard.load(card).data.get("license") if card.is_file() else None


def _facts(records: RunRecords, base: str) -> Iterator[str]:
    totals, lineage = build_ledger(records)["totals"], records.lineage
    origin, last = lineage.origin or {}, records.last_step(records.head)
    num_prompts = origin.get("data", {}).get("train", {}).get("num_rows")
    versions = ", ".join(f"{name} {version}" for name, version in records.env.get("versions", {}).items())
    yield "| | |"
    yield "|---|---|"
    yield f"| base | {_name_of(records, base)} |"
    yield f"| data | {_data_of(records)}" + (f", {num_prompts:,} prompts |" if num_prompts else " |")
    yield f"| lineage | `{lineage_line(lineage, last).removeprefix('lineage ')}` |"
    if fork := origin.get("forked_from"):
        yield f"| forked from | {Path(fork['run']).name}, step {fork['step']} |"
    yield f"| optimizer steps | {last:,} in this policy, {totals['steps']:,} paid for |"
    yield f"| tokens | {totals['rollout_tokens']:,} in rollouts, {totals['guide_tokens']:,} by guides |"
    yield f"| versions | Python {records.env.get('python')}, {versions} |"
    yield ""
    yield (
        "The lineage names the segments in the order in which they were trained: from step > to step, and `by S@N` "
        "where the policy of segment S at step N was the guide."
    )


def _held_out(records: RunRecords) -> Iterator[str]:
    """The first and the last evaluation on the way to the policy, over all prompts and by family."""
    curves = {EVALUATION: records.curve(EVALUATION), **_of_families(records)}
    steps = [int(step) for step in curves[EVALUATION].steps]
    if not steps:
        yield "None was evaluated (`eval_every: 0`)."
        return
    shown = sorted({steps[0], steps[-1]})
    num, num_samples = (_last(records.curve(f"eval/{name}")) for name in ("num_prompts", "num_samples"))
    yield "| pass rate | " + " | ".join(f"step {step}" + (" (base)" if step == 0 else "") for step in shown) + " |"
    yield "|---|" + "---|" * len(shown)
    for name, curve in curves.items():
        at = dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))
        is_all = name == EVALUATION
        cells = ["-" if step not in at else _cell(at[step], num if is_all else 0) for step in shown]
        yield f"| {'all' if is_all else name} | " + " | ".join(cells) + " |"
    yield ""
    yield (
        f"{num:,} prompts that were not trained on, samples of each: {num_samples}. In "
        "brackets Wilson's 95 % interval for that many prompts. It is one run: how far seeds lie apart is not in it."
    )


def _last(curve: Curve) -> int:
    """The last value of a count; 0 where runs of earlier versions did not write it."""
    return int(curve.values[-1]) if len(curve) else 0


def _of_families(records: RunRecords) -> dict[str, Curve]:
    """The curves of the families, under names that a table can hold."""
    found = {name.replace("|", "\\|"): records.curve(f"eval/{name}/pass_rate") for name in records.families()}
    return {name: curve for name, curve in found.items() if len(curve)}


def _cell(rate: float, num: int) -> str:
    """A pass rate, with its interval where the number of prompts is known."""
    if not num:
        return f"{rate:.3f}"
    low, high = binomtest(round(rate * num), num).proportion_ci(method="wilson")
    return f"{rate:.3f} [{low:.3f}, {high:.3f}]"


def _settings(records: RunRecords) -> str:
    """The configuration as it was written down, but for where it lay."""
    lines = (records.folder / "config.yaml").read_text(encoding="utf-8").splitlines()
    return "\n".join(ABSOLUTE.sub("", line) for line in lines if not line.startswith(("run_dir:", "#")))
