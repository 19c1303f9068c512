"""Guidance in the files of other frameworks: `import` reads them into a cache, `export` writes a cache for them.

    format        row                                           several per prompt  how its framework reads it
    easyvideor1   has_offline_trajectory, offline_output        no                  json, jsonl, parquet
    luffy         target: [{role, content}]                     no                  parquet
    rlep          reward_model.candidates: [text, ...]          yes                 parquet
    jsonl         prompt_id, completion, ids, log-probs         yes, a row each     nearfuture

Text goes out and comes in; what a text means in token ids is the tokenizer's word, so every trace is tokenised and
read back, and what does not survive is named. Pure: a tokenizer comes in as two functions (`Codec`), a verifier as one.

Not here: where the task and the tokenizer come from (`nearfuture.run.interop`).
"""

from nearfuture.guidance.interop import easyvideor1, luffy, plain, rlep
from nearfuture.guidance.interop.exporting import Exporter
from nearfuture.guidance.interop.importing import Importer
from nearfuture.guidance.interop.prompts import KnownPrompts
from nearfuture.guidance.interop.report import Finding, Report
from nearfuture.guidance.interop.traces import Codec, Format, Offer, Problem, Trace
from nearfuture.types import UserError

FORMATS: dict[str, Format] = {
    "easyvideor1": easyvideor1.FORMAT,
    "luffy": luffy.FORMAT,
    "rlep": rlep.FORMAT,
    "jsonl": plain.FORMAT,
}


def format_named(name: str) -> Format:
    """Return a format by name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in FORMATS:
        raise UserError(f"--format {name!r} is not known. One of: {', '.join(FORMATS)}.")
    return FORMATS[name]


__all__ = [
    "FORMATS",
    "Codec",
    "Exporter",
    "Finding",
    "Format",
    "Importer",
    "KnownPrompts",
    "Offer",
    "Problem",
    "Report",
    "Trace",
    "format_named",
]
