"""A whole comparison: every method, every claim, computed once for the page, the text, the JSON and the CSV.

Not here: summarising a method (`summary`), comparing it with another (`claims`), files (`export`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from nearfuture.lab.study.claims import Ablation, Beside, Claim, ablations, baseline_of, beside, beyond_base, with_holm
from nearfuture.lab.study.folder import GRID
from nearfuture.lab.study.results import Study
from nearfuture.lab.study.summary import MethodSummary, summarise

READ = (
    "test.json",
    "final",
    "lineage.json",
    "metrics.jsonl",
    "events.jsonl",
    "samples.jsonl",
    "config.yaml",
    "env.json",
)
Reading = Literal["adds", "sharpens", "neither", "blunts", "loses", "not known"]


@dataclass(frozen=True)
class Comparison:
    """What a study shows so far.

    Attributes:
        study: the contents of its folder.
        summaries: every method with a finished run, in the order of the grid.
        reference: the method that claims are made about; None if none of its runs is finished.
        baseline: the method that changes nothing of the base settings, if there is one.
        primary: the reference against each other method on the main figure, p-values adjusted for their number.
        against: the reference beside each other method.
        beside_baseline: every other method beside the baseline.
        beyond_base: every method against the untrained model, by k of pass@k.
        ablations: pairs of methods that differ in one setting.
    """

    study: Study
    summaries: list[MethodSummary]
    reference: MethodSummary | None
    baseline: MethodSummary | None
    primary: list[Claim]
    against: dict[str, Beside]
    beside_baseline: dict[str, Beside]
    beyond_base: dict[str, dict[int, Claim]]
    ablations: list[Ablation]

    @property
    def num_samples(self) -> int:
        """The number of samples per test prompt."""
        return self.study.grid.test_num_samples

    @property
    def largest_k(self) -> int:
        """The k that decides between sharpening and adding ability: the largest of `pass_at`."""
        return max(self.study.grid.pass_at)


def compare(path: Path) -> Comparison:
    """Compute the comparison of a study's folder; recompute it only if a file in it has changed.

    Raises:
        UserError: it is not a study, or none of its runs is finished.
    """
    path = Path(path)
    files = sorted([path / GRID, *(file for name in READ for file in path.glob(f"*/{name}"))])
    return _compare(path, tuple((str(file), file.stat().st_mtime_ns) for file in files if file.exists()))


@lru_cache(maxsize=1)
def _compare(path: Path, files: tuple[tuple[str, int], ...]) -> Comparison:
    """Compute once for the page and the text of one command; `files` is what the study was read from."""
    study = Study.load(path)
    summaries = summarise(study)
    pass_at, num_samples = study.grid.pass_at, study.grid.test_num_samples
    reference = next((summary for summary in summaries if summary.method == study.grid.reference), None)
    baseline = baseline_of(study, summaries)

    def beside_all(summary: MethodSummary | None, *, is_left: bool) -> dict[str, Beside]:
        others = [other for other in summaries if summary is not None and other is not summary]
        sides = {other.method: (summary, other) if is_left else (other, summary) for other in others}
        return {name: beside(a, b, pass_at, num_samples) for name, (a, b) in sides.items() if a and b}

    against = beside_all(reference, is_left=True)
    ks = {1: f"mean@{num_samples}", **{k: f"pass@{k}" for k in pass_at if k > 1}}
    base = study.base
    return Comparison(
        study=study,
        summaries=summaries,
        reference=reference,
        baseline=baseline,
        primary=with_holm([found.mean for found in against.values()]),
        against=against,
        beside_baseline=beside_all(baseline, is_left=False),
        beyond_base={
            summary.method: {k: beyond_base(summary, base, k, measure) for k, measure in ks.items()}
            for summary in (summaries if base is not None else [])
            if base is not None
        },
        ablations=ablations(summaries, pass_at, num_samples),
    )


def read_together(mean: Claim, coverage: Claim) -> Reading:
    """Say whether a method sharpened or added ability, from its claims about mean@n and pass@k.

    Sharpening: more samples are right, on prompts that k samples solve anyway. Adding ability: k samples solve more
    prompts. Only the second shows in pass@k.

        pass@k      above: adds      below: loses     undecided: mean@n decides
        mean@n      above: sharpens  below: blunts    undecided: neither
    """
    if "not known" in (mean.verdict, coverage.verdict):
        return "not known"
    if coverage.verdict == "supported":
        return "adds"
    if coverage.verdict == "contradicted":
        return "loses"
    by_mean: dict[str, Reading] = {"supported": "sharpens", "contradicted": "blunts"}
    return by_mean.get(mean.verdict, "neither")
