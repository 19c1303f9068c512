"""Write the traces of MMFineReason's teacher (Qwen3-VL-235B-A22B-Thinking) as rows that `traces: FILE` reads.

    hf download OpenDataArena/MMFineReason-SFT-123K-Qwen3-VL-235B-Thinking --repo-type dataset
    python recipes/teacher_traces.py --output data/mmfinereason_traces.jsonl
    nearfuture guide import data/mmfinereason_traces.jsonl --format jsonl --output runs/traces \\
        --config configs/paper/qwen3_vl_8b_luffy.yaml         # optional: what a run would keep, and why not the rest

A row is {"prompt_id", "completion"}: the id is the one training gives the question, so that no image is compared. A run
reads the file when it begins: it verifies each trace with its own verifier, tokenises it, appends the stop token, and
leaves out, with counts, what is wrong or longer than max_completion_length.

The teacher's trace answers in its own form; the verifier reads its last answer in a tag or a box.

Not here: other files of traces (docs/guidance.md says which formats there are).
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets import load_dataset

from nearfuture.tasks.data import SOURCES, DataConfig, load_rows

TRACE = "qwen3vl_235b_thinking_response"


def teacher_rows(
    raw: Mapping[str, list[Any]], prompt_ids: Mapping[str, str], left_out: Counter[str]
) -> Iterator[dict[str, str]]:
    """Join traces to questions by the data set's own id.

    Args:
        raw: columns `id` and the trace's.
        prompt_ids: the data set's id -> the id in training; rows that training leaves out are missing.
        left_out: reasons are counted here.
    """
    for row_id, trace in zip(raw["id"], raw[TRACE], strict=True):
        prompt_id = prompt_ids.get(str(row_id))
        if prompt_id is None:
            left_out["question that is not trained on"] += 1
        elif not trace or not str(trace).strip():
            left_out["no trace"] += 1
        else:
            yield {"prompt_id": prompt_id, "completion": str(trace).strip()}


def ids_of(config: DataConfig) -> dict[str, str]:
    """The id in training of every row, by the data set's own."""
    rows = load_rows(config).rows
    found = [json.loads(meta).get("id") for meta in rows["meta"]]
    return {str(row_id): uid for row_id, uid in zip(found, rows["uid"], strict=True) if row_id is not None}


def main() -> None:
    """Write the file, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="mmfinereason", help="mmfinereason or mmfinereason_586k")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    config = DataConfig(dataset_name=arguments.dataset, dataset_template="answer_tag")
    source = SOURCES[arguments.dataset]
    raw = load_dataset(source.repo, source.config, split=source.split).select_columns(["id", TRACE])
    left_out: Counter[str] = Counter()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = arguments.output.with_suffix(".part")
    num_written = 0
    with unfinished.open("w") as file:
        for row in teacher_rows({"id": raw["id"], TRACE: raw[TRACE]}, ids_of(config), left_out):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            num_written += 1
    os.replace(unfinished, arguments.output)
    print(f"{arguments.output}: {num_written:,} traces")
    for reason, count in left_out.most_common():
        print(f"  left out: {count:,} x {reason}")


if __name__ == "__main__":
    main()
