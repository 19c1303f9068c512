"""EasyVideoR1's rows: one offline trajectory per question, replayed in the last slot of its group
(`enable_mix_policy`).

    {"problem_id": "17", "problem": "1+1=", "answer": "2", "problem_type": "", "data_type": "text", "images": [],
     "videos": [], "has_offline_trajectory": true, "offline_output": "<think>...</think><answer>2</answer>"}

As its `utils/dataset.py` and `workers/rollout/vllm_rollout_spmd.py` read them (github.com/cyuQ1n/EasyVideoR1): the text
is tokenised again, no stop token is appended, and a text of blanks counts as none.

Not here: its task routing; `problem_type` is left empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from nearfuture.guidance.header import CacheHeader
from nearfuture.guidance.interop.prompts import as_text
from nearfuture.guidance.interop.traces import Format, Offer, Problem, Row, Trace, field, named, prompt_id_of
from nearfuture.guidance.table import Entry


def read(row: Row) -> Offer:
    """Read a row; without the flag it has no trajectory, whatever stands beside it."""
    has_trajectory = field(row, "has_offline_trajectory", (bool, int))
    text = field(row, "offline_output", str)
    prompt = field(row, "problem", (str, list))
    traces = (Trace(text),) if has_trajectory and text else ()
    return Offer(prompt_id_of(row) or named(row, "problem_id"), prompt, traces)


def write(question: Problem, entries: Sequence[Entry], header: CacheHeader) -> list[Row]:
    """Write the row of a question, solved or not."""
    return [
        {
            "problem_id": question.prompt_id,
            "problem": as_text(question.prompt),
            "answer": question.answer,
            "problem_type": "",
            "data_type": "text",
            "images": [],
            "videos": [],
            "has_offline_trajectory": bool(entries),
            "offline_output": entries[0][1] if entries else "",
        }
    ]


FORMAT = Format(read, write, has_text_prompt=True, has_unsolved=True)
