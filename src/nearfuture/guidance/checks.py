"""The rules that a run imposes on a guidance cache, as functions that say what is wrong.

Not here: whether the bytes are those that were written (`table`, `GuidanceCache.check_integrity`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nearfuture.guidance.header import CacheHeader, CollectionCounts
from nearfuture.types import Guidance, NoSignalError, Sampling, UserError, Verdict

NUM_NAMED = 3
"""How many prompts an error names before it stops."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a cache holds for the prompts of a run.

    Attributes:
        num_prompts: the number of the run's prompts.
        num_covered: how many of them have guidance.
        num_foreign: how many prompts of the cache are not in the data; they are never looked up.
        sampling_differences: setting -> (value when collected, value in this run), for those that differ.
    """

    num_prompts: int
    num_covered: int
    num_foreign: int
    sampling_differences: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class EntryRules:
    """The rules that an entry must keep to be trained on.

    One stop rule holds for rollouts and guidance: a completion ends at its first stop token, which is part of it. If
    the cache has no behaviour log-probs, no entry has any.
    """

    eos_token_ids: Collection[int]
    max_completion_length: int
    has_behavior_logps: bool

    @classmethod
    def of(cls, header: CacheHeader) -> EntryRules:
        """The rules under which a cache was written."""
        return cls(header.eos_token_ids, header.sampling.max_completion_length, header.has_behavior_logps)


def defect(guidance: Guidance, rules: EntryRules) -> str | None:
    """Say why an entry must not be trained on, or None."""
    stops, limit, has_logps = rules.eos_token_ids, rules.max_completion_length, rules.has_behavior_logps
    ids, length = guidance.completion_ids, len(guidance.completion_ids)
    with np.errstate(over="ignore"):
        is_finite_T = np.isfinite(np.asarray(guidance.behavior_logps, dtype=np.float32))
    reasons = {
        f"its verdict is {guidance.verdict.value}, not correct": guidance.verdict is not Verdict.CORRECT,
        "it is truncated: no stop token at its end": not ids or ids[-1] not in stops,
        "it continues after a stop token": any(token in stops for token in ids[:-1]),
        "it has a negative token id": any(token < 0 for token in ids),
        f"{length} tokens, max_completion_length={limit}": length > limit,
        f"{length} tokens but {len(is_finite_T)} log-probs": has_logps and length != len(is_finite_T),
        "it has log-probs, its header says there are none": not has_logps and len(is_finite_T) > 0,
        "a log-prob is not finite": not bool(is_finite_T.all()),
        "it has no prompt hash": not guidance.prompt_hash,
    }
    return next((reason for reason, is_wrong in reasons.items() if is_wrong), None)


def check_entries(entries: Iterable[Guidance], rules: EntryRules) -> None:
    """Refuse entries with a defect.

    Raises:
        UserError: there are such entries; the message counts them, and names the first ones with the reason.
    """
    num_entries = num_bad = 0
    bad: dict[str, str] = {}
    for entry in entries:
        reason = defect(entry, rules)
        num_entries += 1
        if reason:
            num_bad += 1
            bad.setdefault(entry.prompt_id, reason)
    if bad:
        raise UserError(
            f"{num_bad} of {num_entries} guidance entries cannot be trained on: {_first(bad)}. "
            "A trajectory must be verified, end with a stop token, fit into max_completion_length and have one finite "
            "log-prob per token; collect again with the settings of this run."
        )


def check_header(header: CacheHeader, *, tokenizer_hash: str, verifier_version: str | None) -> None:
    """Refuse a cache that is empty, has token ids of another tokenizer, or was verified by another verifier.

    Raises:
        NoSignalError: the guide solved nothing.
        UserError: the tokenizer or the verifier differs.
    """
    if header.num_entries == 0:
        raise nothing_solved(header.counts)
    if header.tokenizer_hash != tokenizer_hash:
        raise UserError(
            f"guidance was collected with tokenizer {_short(header.tokenizer_hash)}, the policy uses "
            f"{_short(tokenizer_hash)}. Token ids would not mean the same text; collect again."
        )
    if verifier_version is not None and header.verifier_version != verifier_version:
        raise UserError(
            f"guidance was verified with verifier version {header.verifier_version}, this run uses {verifier_version}. "
            "What was correct then may be wrong now; verify the entries again, or collect again."
        )


def check_importance(header: CacheHeader, sampling: Sampling) -> None:
    """Refuse importance weights if the behaviour log-probs are missing or of another temperature.

    Raises:
        UserError: there are none, or the temperatures differ.
    """
    if not header.has_behavior_logps:
        raise UserError(
            f"the guidance of {header.guide.path!r} has no behaviour log-probs: it comes from text, so an importance "
            "weight has no denominator. Train with weighting=shaped, which takes the behaviour probability as 1 "
            "(LUFFY), or with weighting=on_policy; or collect guidance from a guide that can be scored."
        )
    if header.sampling.temperature != sampling.temperature:
        raise UserError(
            f"guidance was sampled at temperature {header.sampling.temperature}, this run samples at "
            f"{sampling.temperature}. Its behaviour log-probs are not those of this run's sampling, so importance "
            "weights would be wrong; collect again at this temperature, or train without importance weights."
        )


def check_prompts(hashes: Mapping[str, str], prompts: Mapping[str, str]) -> None:
    """Refuse a cache for other prompts: `hashes` are its prompt hashes by id, `prompts` those of the data.

    Raises:
        UserError: no id is in the data, or an id belongs to another prompt there.
    """
    known = [prompt_id for prompt_id in hashes if prompt_id in prompts]
    if not known:
        raise UserError(
            f"none of the {len(hashes)} prompts in the cache ({_first(hashes, values=False)}) is among the "
            f"{len(prompts)} prompts of the data ({_first(prompts, values=False)}). "
            "Point to the data the guidance was collected on, or collect again."
        )
    wrong = {
        prompt_id: f"{_short(hashes[prompt_id])} in the cache, {_short(prompts[prompt_id])} in the data"
        for prompt_id in known
        if hashes[prompt_id] != prompts[prompt_id] or not hashes[prompt_id]
    }
    if wrong:
        raise UserError(
            f"{len(wrong)} of {len(known)} prompts are not the ones guidance was collected for: their hash differs: "
            f"{_first(wrong)}. The prompts or the ids changed since; collect again."
        )


def coverage(header: CacheHeader, sampling: Sampling, ids: Iterable[str], prompts: Collection[str]) -> Coverage:
    """Count what the cache holds for the prompts of a run."""
    is_known = [prompt_id in prompts for prompt_id in ids]
    then, now = asdict(header.sampling), asdict(sampling)
    differences = {name: (then[name], now[name]) for name in then if then[name] != now[name]}
    return Coverage(len(prompts), sum(is_known), len(is_known) - sum(is_known), differences)


def verdict_by_prompt(verdicts: Iterable[tuple[str, Verdict]]) -> dict[str, Verdict]:
    """Return for each prompt that all of its trajectories are correct, or else the first other verdict."""
    found: dict[str, Verdict] = {}
    for prompt_id, verdict in verdicts:
        if found.get(prompt_id, Verdict.CORRECT) is Verdict.CORRECT:
            found[prompt_id] = verdict
    return found


def check_verdicts(verdicts: Mapping[str, Verdict]) -> None:
    """Refuse entries that a second verification does not confirm, time-outs included.

    Raises:
        UserError: there are such entries; the message counts them, and names the first ones with their verdict.
    """
    bad = {prompt_id: verdict.value for prompt_id, verdict in verdicts.items() if verdict is not Verdict.CORRECT}
    if bad:
        raise UserError(
            f"{len(bad)} of {len(verdicts)} guidance entries were correct when collected and are not now: "
            f"{_first(bad)}. Training would reward them; use the verifier and the gold answers of the collection, "
            "or collect again."
        )


def nothing_solved(counts: CollectionCounts) -> NoSignalError:
    """Return the error for a guide that solved nothing: the reason and the remedy."""
    samples_each = max(1, -(-counts.num_samples // max(1, counts.num_prompts)))
    num_cut = counts.num_dropped_no_eos + counts.num_dropped_too_long
    if counts.num_samples and num_cut == counts.num_samples:
        return NoSignalError(
            f"None of the {counts.num_samples} samples of the guide ended ({counts.num_prompts} prompts): all were "
            "cut off at max_completion_length. A trajectory without an end cannot be guidance, whatever it says. Raise "
            "max_completion_length, or train the policy to end its answers first; a later guide does not help."
        )
    why = {
        f"{num_cut} of {counts.num_samples} samples did not end within max_completion_length": num_cut,
        f"{counts.num_unjudged} of {counts.num_samples} could not be judged": counts.num_unjudged,
    }
    reasons = "; ".join(reason for reason, number in why.items() if number)
    return NoSignalError(
        f"The guide solved none of {counts.num_prompts} prompts, so there is nothing to inject. "
        f"Collect with more samples (guide_num_samples={2 * samples_each}) or a later guide."
        + (f" ({reasons}.)" if reasons else "")
    )


def _first(items: Mapping[str, Any], *, values: bool = True) -> str:
    named = [f"{key!r} ({items[key]})" if values else repr(key) for key in list(items)[:NUM_NAMED]]
    return ", ".join(named) + (", ..." if len(items) > NUM_NAMED else "")


def _short(digest: str) -> str:
    return f"{digest[:8]}..." if len(digest) > 8 else digest or "(none)"
