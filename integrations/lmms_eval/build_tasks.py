"""Write the task files of lmms-eval from the benchmarks' own descriptions: `tasks/npo_*.yaml`.

    python integrations/lmms_eval/build_tasks.py

Not here: what the tasks call (`tasks/utils.py`).
"""

from __future__ import annotations

from pathlib import Path

from nearfuture.lab.evaluate.benchmarks import PAPER, Benchmark, Part
from nearfuture.train.answer.decoding import Decoding

TASKS = Path(__file__).parent / "tasks"
METRICS = {"acc": "mean", "extracted": "extracted", "truncated": "mean", "parse_fail": "mean", "unjudged": "mean"}
TASK = """\
# Written by build_tasks.py.
task: npo_{name}
dataset_path: {repo}
{config}test_split: {split}
output_type: generate_until
doc_to_messages: !function utils.{part}_messages
doc_to_text: !function utils.{part}_text
doc_to_visual: !function utils.{part}_visual
doc_to_target: answer
process_results: !function utils.{part}_results
reasoning_tags: none
auto_strip_thinking: false
generation_kwargs:
  max_new_tokens: {tokens}
  do_sample: true
  temperature: {temperature}
  top_p: {top_p}
  top_k: {top_k}
metric_list:
  - metric: score
    aggregation: !function utils.{benchmark}_score
    higher_is_better: true
{metrics}metadata:
  version: 1.0
"""
METRIC = """\
  - metric: {name}
    aggregation: !function utils.{function}
    higher_is_better: {is_higher_better}
"""
GROUP = """\
# Written by build_tasks.py.
group: npo_{name}
task:
{parts}aggregate_metric_list:
  - metric: score
    aggregation: mean
    weight_by_size: false
metadata:
  version: 1.0
"""


def task_text(benchmark: Benchmark, part: Part, name: str) -> str:
    """The file of one part."""
    decoding = Decoding()
    metrics = (
        METRIC.format(name=metric, function=function, is_higher_better=str(metric in ("acc", "extracted")).lower())
        for metric, function in METRICS.items()
    )
    return TASK.format(
        name=name,
        repo=part.repo,
        config=f'dataset_name: "{part.config}"\n' if part.config else "",
        split=part.split,
        part=part.name,
        benchmark=benchmark.name,
        tokens=decoding.max_completion_length,
        temperature=decoding.temperature,
        top_p=decoding.top_p,
        top_k=decoding.top_k,
        metrics="".join(metrics),
    )


def files() -> dict[str, str]:
    """Every task file by its name."""
    found = {}
    for benchmark in PAPER:
        if len(benchmark.parts) == 1:
            name = f"npo_{benchmark.name}"
            found[f"{name}.yaml"] = task_text(benchmark, benchmark.parts[0], benchmark.name)
            continue
        for part in benchmark.parts:
            found[f"npo_{part.name}.yaml"] = task_text(benchmark, part, part.name)
        parts = "".join(f"  - npo_{part.name}\n" for part in benchmark.parts)
        found[f"npo_{benchmark.name}.yaml"] = GROUP.format(name=benchmark.name, parts=parts)
    return found


if __name__ == "__main__":
    for name, text in files().items():
        (TASKS / name).write_text(text)
    print(f"{len(files())} files in {TASKS}")
