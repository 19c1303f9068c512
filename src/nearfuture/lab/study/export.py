"""A comparison as plain values: `comparison.json`, and `comparison.csv` with one row per run.

Unknown values are null in JSON and empty in CSV.

Not here: the numbers (`comparison`), the page and the text (`nearfuture.lab.report`).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from typing import Any

from nearfuture.lab.study.claims import Beside, Claim
from nearfuture.lab.study.comparison import Comparison, read_together
from nearfuture.lab.study.results import TestCounts
from nearfuture.lab.study.summary import COSTS, LEVEL, NUM_RESAMPLES, Aggregate, MethodSummary, RunFigures
from nearfuture.record.records import EVALUATION
from nearfuture.record.writing import csv_text, finite
from nearfuture.stats.seeds import Estimate

VERSION = 1


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the whole comparison; `methods[]` has `method`, `mean`, `ci_low`, `ci_high` and its costs."""
    study = comparison.study
    result = {
        "version": VERSION,
        "task": study.runs[0].test.protocol.get("task"),
        "split": study.split,
        "num_prompts": len(study.runs[0].test.family_P),
        "num_samples": comparison.num_samples,
        "pass_at": list(study.grid.pass_at),
        "families": list(study.families),
        "level": LEVEL,
        "num_resamples": NUM_RESAMPLES,
        "reference": comparison.reference and comparison.reference.method,
        "baseline": comparison.baseline and comparison.baseline.method,
        "base": study.base and _base(study.base, comparison),
        "methods": [_method(summary, comparison) for summary in comparison.summaries],
        "claims": [_claim(claim) for claim in comparison.primary],
        "reference_beside": {name: _beside(found) for name, found in comparison.against.items()},
        "beside_baseline": {name: _beside(found) for name, found in comparison.beside_baseline.items()},
        "beyond_base": {
            name: {str(k): _claim(claim) for k, claim in claims.items()}
            for name, claims in comparison.beyond_base.items()
        },
        "ablations": [
            {"key": found.key, "value": found.value, "plain_value": found.plain_value, **_beside(found.beside)}
            for found in comparison.ablations
        ],
        "missing": study.missing,
        "runs": run_rows(comparison),
    }
    return dict(finite(result))


def as_csv(comparison: Comparison) -> str:
    """Return one row per run."""
    rows = run_rows(comparison)
    return csv_text(rows, list(rows[0]))


def run_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return what each run reached and paid, as flat rows."""
    return [_row(figures, comparison) for summary in comparison.summaries for figures in summary.runs]


def _row(figures: RunFigures, comparison: Comparison) -> dict[str, Any]:
    run, curve = figures.run, figures.run.records.curve(EVALUATION)
    families = zip(run.test.families, run.test.pass_at(1), strict=True)
    return {
        "method": run.method,
        "seed": run.seed,
        "commit": run.records.env.get("git"),
        "settings": settings_hash(run.records.config),
        f"mean@{comparison.num_samples}": run.test.mean(),
        **{f"pass@{k}": run.test.mean(k) for k in comparison.study.grid.pass_at if k > 1},
        **{f"{family}/mean": float(value) for family, value in families},
        "steps": figures.step,
        "total_steps": _whole(figures.costs["steps"]),
        "total_tokens": _whole(figures.costs["generated_tokens"]),
        "guide_tokens": _whole(figures.costs["guide_tokens"]),
        "seconds": round(figures.seconds, 3),
        "num_interventions": figures.num_interventions,
        "final_entropy": figures.final_entropy,
        "last_eval_pass_rate": float(curve.values[-1]) if len(curve) else math.nan,
        "num_unjudged": run.test.protocol["num_unjudged"],
    }


def _whole(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def settings_hash(config: dict[str, Any]) -> str:
    """Hash a run's configuration without its seed and folder: runs of one method must agree in it."""
    kept = {key: value for key, value in config.items() if key not in ("seed", "run_dir")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _method(summary: MethodSummary, comparison: Comparison) -> dict[str, Any]:
    ks = [k for k in comparison.study.grid.pass_at if k > 1]
    return {
        "method": summary.method,
        **_estimate(summary.mean(), "mean"),
        "seeds": summary.seeds,
        "settings": summary.settings,
        "steps": max(figures.step for figures in summary.runs),
        "total_steps": summary.cost("steps"),
        "total_tokens": summary.cost("generated_tokens"),
        "seconds": summary.seconds,
        "num_interventions": summary.num_interventions,
        "pass_at": {str(k): _estimate(summary.mean(k), "mean") for k in ks},
        "families": {
            family: {
                **_estimate(summary.family(1, i), "mean"),
                "pass_at": {str(k): _estimate(summary.family(k, i), "mean") for k in ks},
            }
            for i, family in enumerate(summary.families)
        },
        "interquartile_mean": _aggregate(summary.interquartile_mean),
        "optimality_gap": _aggregate(summary.optimality_gap),
        "final_entropy": _estimate(summary.final_entropy, "mean"),
        "ledger": {key: summary.cost(key) for key in COSTS},
    }


def _base(base: TestCounts, comparison: Comparison) -> dict[str, Any]:
    families = zip(base.families, base.pass_at(1), strict=True)
    return {
        "mean": base.mean(),
        "pass_at": {str(k): base.mean(k) for k in comparison.study.grid.pass_at if k > 1},
        "families": {family: {"mean": float(value)} for family, value in families},
    }


def _beside(found: Beside) -> dict[str, Any]:
    return {
        "mean": _claim(found.mean),
        "pass_at": {str(k): _claim(claim) for k, claim in found.pass_at.items()},
        "reading": {str(k): read_together(found.mean, claim) for k, claim in found.pass_at.items()},
        "at_equal": {clock: _claim(claim) for clock, claim in found.at_equal.items()},
        "area": {clock: _claim(claim) for clock, claim in found.areas.items()},
        "probability_of_improvement": _aggregate(found.probability_of_improvement),
        "speed_up": [
            {"clock": clock, "share": share, "num_reached": num_reached, **_estimate(ratio, "ratio")}
            for (clock, share), (ratio, num_reached) in found.speed_ups.items()
        ],
    }


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "method": claim.method,
        "other": claim.other,
        "measure": claim.measure,
        **_estimate(claim.difference, "difference"),
        "p_value": claim.difference.p_value,
        "adjusted_p": claim.adjusted_p,
        "at": claim.at,
        "verdict": claim.verdict,
    }


def _estimate(estimate: Estimate, name: str) -> dict[str, Any]:
    return {name: estimate.value, "ci_low": estimate.low, "ci_high": estimate.high, "num_seeds": estimate.num}


def _aggregate(found: Aggregate) -> dict[str, Any]:
    plain = asdict(found)
    return plain if found.by_run is not None else {"value": plain["value"], "by_seed": plain["by_seed"]}
