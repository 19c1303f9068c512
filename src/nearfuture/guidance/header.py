"""The header of a guidance cache: what its token ids and log-probs mean, and how they were obtained.

It is a readable `header.json` beside the table. It is written last, so a folder without it is not a cache, and it has
its own checksum, so an edited or damaged one is noticed.

Not here: the table itself (`table`), the rules that a run imposes on a cache (`checks`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nearfuture.json_text import loads
from nearfuture.types import PolicyRef, Sampling, UserError

FORMAT = "nearfuture-guidance"
FORMAT_VERSION = 1
NUM_KEPT = "max_per_prompt"
"""The name of `num_kept` in the file."""


@dataclass(frozen=True, slots=True)
class CollectionCounts:
    """What a collection asked, drew, dropped and cost.

    `num_solved` prompts have an entry. `num_dropped_*` count samples: without a stop token, longer than the limit, or
    chosen but without finite log-probs. `num_duplicates` counts correct samples with the token ids of an earlier one of
    their prompt. `num_unjudged` counts samples that could not be judged (time-outs, crashes, unparsable gold answers).
    `num_tokens` counts everything generated, `seconds` the time for it. `num_harvested` prompts were not asked, since
    they had an answer already; these answers have `harvested_tokens` tokens.
    """

    num_prompts: int
    num_solved: int
    num_samples: int
    num_dropped_no_eos: int = 0
    num_dropped_too_long: int = 0
    num_dropped_logps: int = 0
    num_duplicates: int = 0
    num_unjudged: int = 0
    num_tokens: int = 0
    seconds: float = 0.0
    num_harvested: int = 0
    harvested_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CacheHeader:
    """The meaning of a cache, and the size and checksum of its table.

    `fingerprint` names the settings of the collection (empty for a cache from elsewhere). `num_kept` is how many
    different trajectories a prompt may have; it is written as `max_per_prompt`. Without `has_behavior_logps` the
    trajectories come from text, so their author's log-probs are unknown: `behavior_logps` is then `()` in
    all of them. The last three fields describe the table; `GuidanceCache.write` fills them in.
    """

    tokenizer_hash: str
    eos_token_ids: tuple[int, ...]
    verifier_version: str
    sampling: Sampling
    guide: PolicyRef
    counts: CollectionCounts
    fingerprint: str = ""
    num_kept: int = 1
    has_behavior_logps: bool = True
    num_entries: int = 0
    num_bytes: int = 0
    sha256: str = ""


def to_json(header: CacheHeader) -> str:
    """Write the header as indented JSON, with its own checksum."""
    written = {NUM_KEPT if name == "num_kept" else name: value for name, value in asdict(header).items()}
    if not header.counts.num_harvested:  # older releases do not know the harvest
        written["counts"] = {name: value for name, value in written["counts"].items() if "harvested" not in name}
    fields = {"format": FORMAT, "format_version": FORMAT_VERSION, **written}
    return json.dumps({**fields, "checksum": digest(fields)}, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str, where: str) -> CacheHeader:
    """Read a header that `to_json` wrote.

    Raises:
        UserError: it is not a header, has another format version, or is damaged.
    """
    fields = _read_object(text, where)
    checksum = fields.pop("checksum", None)
    if fields.pop("format", None) != FORMAT:
        raise UserError(f"{where} is not the header of a guidance cache (format is not {FORMAT!r}).")
    version = fields.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise UserError(
            f"{where} has format version {version!r}, this nearfuture reads version {FORMAT_VERSION}. "
            "Use the nearfuture that wrote it, or collect again."
        )
    if checksum != digest({"format": FORMAT, "format_version": version, **fields}):
        raise damaged(where, "its checksum does not match its content")
    return _build(fields, where)


def digest(value: Any) -> str:
    """Hash a JSON value: sha256 of its canonical text. A number that JSON has no name for is refused."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def damaged(where: str, why: str) -> UserError:
    """Return the error for bytes that are not those that were written."""
    return UserError(f"{where} is damaged: {why}. Restore it from a copy, or collect again.")


def _read_object(text: str, where: str) -> dict[str, Any]:
    try:
        fields = loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise damaged(where, f"not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise damaged(where, f"a JSON object was expected, found {type(fields).__name__}")
    return fields


def _build(fields: dict[str, Any], where: str) -> CacheHeader:
    try:
        header = CacheHeader(
            **{
                **{name: value for name, value in fields.items() if name != NUM_KEPT},
                "num_kept": fields.get(NUM_KEPT, 1),
                "eos_token_ids": tuple(fields["eos_token_ids"]),
                "sampling": Sampling(**fields["sampling"]),
                "guide": PolicyRef(**fields["guide"]),
                "counts": CollectionCounts(**fields["counts"]),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(where, f"a field is missing or unknown ({error})") from error
    try:
        return TypeAdapter(CacheHeader).validate_python(asdict(header))
    except ValidationError as error:
        first = error.errors()[0]
        raise damaged(where, f"{'.'.join(map(str, first['loc']))}={first['input']!r}: {first['msg']}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
