"""An evaluation in sentences: what was measured, what differs, and what to be careful about.

Not here: tables (`tables`), the numbers (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfuture.lab.evaluate.reported import COLUMNS
from nearfuture.lab.evaluate.tables import points, share
from nearfuture.record.formats import p_value, percent, plural, signed

Result = Mapping[str, Any]
ALPHA = 0.05
MUCH_TRUNCATED, MUCH_UNJUDGED = 0.05, 0.01
SHOWN = 3


def title(result: Result) -> str:
    """The headline."""
    labels = [policy["label"] for policy in result["policies"]]
    asked = ", ".join(suite["title"] for suite in result["suites"])
    asked = asked if len(result["suites"]) <= SHOWN else f"{len(result['suites'])} suites"
    if result["is_lineage"]:
        return f"{plural(len(labels), 'checkpoint')} of one run on {asked}"
    return f"{' and '.join(labels)} on {asked}"


def measured(result: Result) -> str:
    """The protocol, in a sentence."""
    limit = f", of at most {plural(result['limit'], 'question')} each" if result["limit"] else ""
    return (
        f"{plural(result['num_samples'], 'sample')} per question{limit}, seed {result['seed']}. Numbers are "
        f"percentages; ± is the larger half of the {result['level']:.0%} interval from {result['num_resamples']} "
        "resamples of the questions' clusters. They cover the draw of questions and samples, not another training seed."
    )


def lead(result: Result) -> list[str]:
    """What each policy scored, and what differs."""
    policies = result["policies"]
    if result["is_lineage"]:
        first, last = policies[0], policies[-1]
        sentences = [f"From {first['label']} to {last['label']}: {_score(result, first)} to {_score(result, last)}."]
    else:
        sentences = [f"{policy['label']}: {_score(result, policy)}." for policy in policies]
    return [*sentences, *(difference(result, found) for found in result["comparisons"])]


def difference(result: Result, found: Mapping[str, Any]) -> str:
    """The primary endpoint of a comparison."""
    mean = found["mean"]
    over = f", mean over {len(result['suites'])} suites" if len(result["suites"]) > 1 else ""
    interval = ""
    if mean["low"] is not None:
        interval = f" [{signed(100 * mean['low'], 2)}, {signed(100 * mean['high'], 2)}]"
    said = f"{found['policy']} minus {found['other']}: {signed(100 * mean['value'], 2)} points{interval}{over}"
    verdict = "different" if mean["p_value"] < ALPHA else "not told apart"
    found_from = f"A difference of {points(mean['detectable'])} points would be found four times in five."
    if mean["detectable"] is None:
        alike = mean["low"] is not None
        why = "All questions gave the same difference" if alike else "No interval can be given"
        found_from = f"{why}, so how large a one would be found cannot be told."
    return f"{said}, p = {p_value(mean['p_value'])}: {verdict}. {found_from}"


def notes(result: Result) -> list[str]:
    """What to be careful about."""
    said = _without_interval(result)
    for policy in result["policies"]:
        scores = {suite["title"]: policy["scores"][suite["name"]] for suite in result["suites"]}
        said += _cut_off(policy["label"], scores)
        said += [note for where, score in scores.items() for note in _unjudged(f"{policy['label']} on {where}", score)]
    for found in result["comparisons"]:
        lost = {name: one["num_lost"] for name, one in found["suites"].items() if one["num_lost"]}
        said += [f"{name}: {plural(number, 'unit')} left the comparison, unjudged." for name, number in lost.items()]
    if any(suite["name"] in COLUMNS for suite in result["suites"]):
        said.append(
            "Rows marked `reported` are the paper's table 1 as printed. Its prompt, its answer extraction and its "
            "decoding are not published, so they are shown for reference and cannot be compared with these numbers."
        )
    return said


def _without_interval(result: Result) -> list[str]:
    few: dict[str, None] = {}
    for suite in result["suites"]:
        for score in (policy["scores"][suite["name"]] for policy in result["policies"]):
            shown = {
                suite["title"]: score,
                **{f"{suite['title']} {name}": one for name, one in score["metrics"].items()},
            }
            few.update((name, None) for name, one in shown.items() if one["value"] is not None and one["low"] is None)
    if not few:
        return []
    return [
        f"{', '.join(few)}: too few questions for an interval: one cluster, or parts of a question or two, which "
        "most resamples miss. Ask more questions, --limit."
    ]


def _cut_off(label: str, scores: Mapping[str, Any]) -> list[str]:
    much = {where: score["rates"]["truncated"] for where, score in scores.items()}
    much = {where: cut for where, cut in much.items() if cut > MUCH_TRUNCATED}
    if not much:
        return []
    named = ", ".join(f"{where} {percent(cut)}" for where, cut in much.items())
    return [
        f"{label}: responses were cut off ({named}). Raise max_completion_length, or read these as numbers under this "
        "budget."
    ]


def _unjudged(where: str, score: Mapping[str, Any]) -> list[str]:
    said = []
    rates = score["rates"]
    unjudged = rates["timeout"] + rates["crash"]
    if unjudged > MUCH_UNJUDGED:
        low, high = map(points, score["bounds"])
        said.append(f"{where}: {percent(unjudged)} could not be judged; judged, it would lie in {low} to {high}.")
    invalid = score["invalid_golds"]
    if invalid:
        named = ", ".join(invalid[:SHOWN]) + (", ..." if len(invalid) > SHOWN else "")
        said.append(f"{where}: {plural(len(invalid), 'gold answer')} cannot be verified and left out: {named}.")
    return said


def _score(result: Result, policy: Mapping[str, Any]) -> str:
    if len(result["suites"]) == 1:
        suite = result["suites"][0]
        return f"{share(policy['scores'][suite['name']])} ({suite['metric']})"
    return f"{share(policy['mean'])} on average over {len(result['suites'])} suites"
