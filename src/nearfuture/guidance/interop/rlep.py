"""RLEP's rows: a question, and the pool of verified answers it is replayed from.

    {"data_source": "math_dapo", "prompt": [{"role": "user", "content": "1+1="}], "ability": "",
     "reward_model": {"style": "rule", "ground_truth": "2", "candidates": ["... 2", "... so 2"]},
     "extra_info": {"prompt_id": "17"}}

As its `verl/utils/dataset/rl_dataset.py` reads them, from parquet (github.com/Kwai-Klear/RLEP, arXiv:2507.07451): some
of `reward_model.candidates` are drawn, tokenised without special tokens, and ended with the stop token; where a pool is
too small it is filled up with empty answers, so leave small pools out. `candidates` beside `reward_model` is read too.
`extra_info.prompt_id` is ours.

Not here: drawing from a pool (`nearfuture.guidance.sources.UniformReplay`).
"""

from __future__ import annotations

from collections.abc import Sequence

from nearfuture.guidance.header import CacheHeader
from nearfuture.guidance.interop.luffy import verl_row
from nearfuture.guidance.interop.traces import DamagedRowError, Format, Offer, Problem, Row, Trace, field, prompt_id_of
from nearfuture.guidance.table import Entry


def read(row: Row) -> Offer:
    """Read a row with all of its candidates."""
    place = field(row, "reward_model", dict) or {}
    candidates = field(place if place.get("candidates") is not None else row, "candidates", list) or []
    wrong = next((text for text in candidates if not isinstance(text, str)), None)
    if wrong is not None:
        raise DamagedRowError(f"a candidate is {type(wrong).__name__}, not str")
    texts = [field({"candidate": text}, "candidate", str) for text in candidates]
    return Offer(prompt_id_of(row), field(row, "prompt", (str, list)), tuple(map(Trace, texts)))


def write(question: Problem, entries: Sequence[Entry], header: CacheHeader) -> list[Row]:
    """Write the row of a question with all of its entries."""
    row = verl_row(question)
    row["reward_model"]["candidates"] = [text for _, text in entries]
    return [row]


FORMAT = Format(read, write, max_traces=None)
