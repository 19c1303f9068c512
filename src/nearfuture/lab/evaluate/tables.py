"""The tables of an evaluation, made from its plain values. Shares are shown in percent.

Not here: what a table is (`nearfuture.lab.page.table`), sentences (`words`), the values (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nearfuture.lab.evaluate.reported import COLUMNS, REPORTED, reported_cells
from nearfuture.lab.page.table import Table
from nearfuture.record.formats import MISSING, count, p_value, percent, signed

Result = Mapping[str, Any]
REPORTED_AS = "reported"


def main_table(result: Result) -> Table:
    """Policies by suites, as in the paper's table 1, with half widths; the paper's own rows below, as reported."""
    names = [suite["name"] for suite in result["suites"]]
    rows = [
        [
            policy["label"],
            *(share(policy["scores"][name]) for name in names),
            *([share(policy["mean"])] if len(names) > 1 else []),
        ]
        for policy in result["policies"]
    ]
    if any(name in COLUMNS for name in names):
        rows += [_reported(method, names) for method in REPORTED]
    columns = ["", *(suite["title"] for suite in result["suites"]), *(["Avg"] if len(names) > 1 else [])]
    return Table(columns, rows, "Policies by suites", "dense")


def _reported(method: str, names: Sequence[str]) -> list[str]:
    """A row of the paper's table, with its average only if these columns are the ones it averages."""
    cells = reported_cells(method, list(names))
    is_whole = sorted(names) == sorted(COLUMNS)
    average = [f"{REPORTED[method][-1]:.2f}" if is_whole else MISSING] if len(names) > 1 else []
    return [f"{method} ({REPORTED_AS})", *(MISSING if cell is None else f"{cell:.2f}" for cell in cells), *average]


def pass_table(result: Result, policy: Mapping[str, Any]) -> Table:
    """Unbiased pass@k of a policy: one row per suite, one column per k."""
    ks = list(next(iter(policy["scores"].values()))["pass_at"])
    rows = [[title, *(share(score["pass_at"][k]) for k in ks)] for title, score in _by_title(result, policy)]
    return Table(["", *(f"pass@{k}" for k in ks)], rows, f"Unbiased pass at k of {policy['label']}", "dense")


def metrics_table(result: Result) -> Table:
    """All further metrics, policy by policy."""
    rows = [
        [f"{suite['title']}: {name}", *(share(policy["scores"][suite["name"]]["metrics"][name]) for policy in policies)]
        for policies in [result["policies"]]
        for suite in result["suites"]
        for name in policies[0]["scores"][suite["name"]]["metrics"]
    ]
    return Table(["", *(policy["label"] for policy in result["policies"])], rows, "Further metrics", "dense")


def quality_table(result: Result) -> Table:
    """Why responses did not count, and what they cost, policy by policy and suite by suite."""
    rows = []
    for policy in result["policies"]:
        for title, score in _by_title(result, policy):
            rates = score["rates"]
            low, high = score["bounds"]
            is_open = rates["timeout"] + rates["crash"] + rates["invalid_gold"] > 0
            rows.append(
                [
                    f"{policy['label']} {title}",
                    count(score["num_responses"]),
                    *(percent(rates[name]) for name in ("truncated", "no_answer", "timeout", "crash", "invalid_gold")),
                    f"{points(low)} to {points(high)}" if is_open else MISSING,
                    f"{score['mean_length']:.1f}",
                    count(score["tokens"]),
                ]
            )
    columns = ["", "n", "cut off", "no answer", "time out", "crash", "invalid gold", "bounds"]
    label = "Truncation, answers not found, time-outs, lengths"
    return Table([*columns, "mean length", "tokens"], rows, label, "dense")


def differences_table(result: Result, comparison: Mapping[str, Any]) -> Table:
    """One policy minus the other, per suite and on average."""
    titles = {suite["name"]: suite["title"] for suite in result["suites"]}
    rows = [_difference(titles[name], found) for name, found in comparison["suites"].items()]
    if len(rows) > 1:
        rows.append(_difference("mean of the suites", comparison["mean"]))
    columns = ["", "difference", "interval", "p", "p (Holm)", "detectable", "clusters"]
    return Table(columns, rows, f"{comparison['policy']} minus {comparison['other']}", "dense")


def _difference(title: str, found: Mapping[str, Any]) -> list[str]:
    bounds = [found["low"], found["high"]]
    interval = MISSING if None in bounds else f"[{signed(100 * bounds[0], 2)}, {signed(100 * bounds[1], 2)}]"
    values = [signed(100 * found["value"], 2), interval, p_value(found["p_value"]), p_value(found["adjusted_p"])]
    return [title, *values, points(found["detectable"]), str(found["num"])]


def suites_table(result: Result) -> Table:
    """The suites and their settings."""
    rows = [
        [
            suite["title"],
            suite["metric"],
            str(suite["num_questions"]),
            str(suite["num_clusters"]),
            decoding(suite["decoding"]),
            suite["licence"] or MISSING,
            suite["note"],
        ]
        for suite in result["suites"]
    ]
    columns = ["", "metric", "questions", "clusters", "sampled with", "licence", ""]
    return Table(columns, rows, "Suites", "dense", last_is_text=True)


def decoding(settings: Mapping[str, Any]) -> str:
    """Sampling settings in a few words."""
    if settings["temperature"] == 0:
        return f"greedy, {settings['max_completion_length']} tokens"
    kept = [f"T={settings['temperature']:g}", f"top_p={settings['top_p']:g}", f"top_k={settings['top_k']}"]
    kept += [f"{name}={settings[name]:g}" for name in ("min_p", "presence_penalty") if settings[name]]
    kept += [f"repetition_penalty={settings['repetition_penalty']:g}"] if settings["repetition_penalty"] != 1 else []
    return f"{', '.join(kept)}, {settings['max_completion_length']} tokens"


def share(found: Mapping[str, Any]) -> str:
    """A share in percent, with the larger half of its interval.

    Example:
        >>> share({"value": 0.5, "low": 0.45, "high": 0.54})
        '50.00 ±5.00'
    """
    if found["value"] is None:
        return MISSING
    if found["low"] is None:
        return f"{100 * found['value']:.2f}"
    half = max(found["high"] - found["value"], found["value"] - found["low"])
    return f"{100 * found['value']:.2f} ±{100 * half:.2f}"


def points(value: float | None) -> str:
    """A share in percentage points."""
    return MISSING if value is None else f"{100 * value:.2f}"


def _by_title(result: Result, policy: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return ((suite["title"], policy["scores"][suite["name"]]) for suite in result["suites"])
