"""LUFFY's rows: a question as a conversation, and the teacher's trace as the message that answers it.

    {"data_source": "math", "prompt": [{"role": "user", "content": "1+1="}],
     "target": [{"role": "assistant", "content": "<think>\\n...</think> 2"}], "ability": "",
     "reward_model": {"style": "rule", "ground_truth": "2"}, "extra_info": {"prompt_id": "17"}}

As its `RLHFDatasetWithTarget` reads them, from parquet (github.com/ElliottYan/LUFFY, arXiv:2504.14945): `target[0]` is
the trace, it is tokenised without special tokens and the stop token is appended in the rollout. `extra_info.prompt_id`
is ours.

Not here: its `target_lst` and `target_probs` columns, which its released data do not have.
"""

from __future__ import annotations

from collections.abc import Sequence

from nearfuture.guidance.header import CacheHeader
from nearfuture.guidance.interop.prompts import as_messages
from nearfuture.guidance.interop.traces import DamagedRowError, Format, Offer, Problem, Row, Trace, field, prompt_id_of
from nearfuture.guidance.table import Entry


def read(row: Row) -> Offer:
    """Read a row; of several messages in `target`, LUFFY trains on the first."""
    target = field(row, "target", list) or []
    if target and not isinstance(target[0], dict):
        raise DamagedRowError(f"target[0] is {type(target[0]).__name__}, not a message")
    text = field(target[0], "content", str) if target else None
    return Offer(prompt_id_of(row), field(row, "prompt", (str, list)), (Trace(text),) if text else ())


def write(question: Problem, entries: Sequence[Entry], header: CacheHeader) -> list[Row]:
    """Write the row of a question with the trace of its first entry."""
    return [{**verl_row(question), "target": [{"role": "assistant", "content": entries[0][1]}]}]


def verl_row(question: Problem) -> Row:
    """Return the columns that every data set for verl has."""
    return {
        "data_source": question.source,
        "prompt": as_messages(question.prompt),
        "ability": "",
        "reward_model": {"style": "rule", "ground_truth": question.answer},
        "extra_info": {"prompt_id": question.prompt_id},
    }


FORMAT = Format(read, write)
