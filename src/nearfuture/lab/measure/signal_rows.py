"""Turn the samples of an anchor's guides into numbers with intervals: the rows of `nearfuture signal --json`.

Letters: P prompts, R resamples (row 0: the sample itself), D distances.

Not here: the estimators (`nearfuture.method`), sampling (`measurement`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from nearfuture.method import signal, variance_cost
from nearfuture.method.signal import Floats, GuideSamples
from nearfuture.stats.fits import MIN_POINTS, fit_power_law, fit_saturation
from nearfuture.stats.resampling import find_maximum, interval, rank_correlation, without_scatter
from nearfuture.train.gradients import GradientSpread

CLIP = 0.2
ROUNDING = 1e-12
QUALITIES = ("coverage", "pass_rate")
DEFAULT_QUALITY, DEFAULT_COST = "coverage", "token"

LOG_COSTS: dict[str, Callable[[GuideSamples, Floats], Floats]] = {
    "token": lambda s, r: np.log(variance_cost.token_cost(s, r)),
    "clipped": lambda s, r: np.log(variance_cost.clipped_cost(s, r, epsilon=CLIP)),
    "sequence": variance_cost.sequence_log_cost,
    "kl_k1": lambda s, r: variance_cost.kl_log_cost(variance_cost.kl_k1(s, r)),
    "kl_k3": lambda s, r: variance_cost.kl_log_cost(variance_cost.kl_k3(s, r)),
    "kl_k3_sequence": lambda s, r: variance_cost.kl_log_cost(
        variance_cost.kl_k3(s, r), length=variance_cost.mean_length(s, r)
    ),
}
"""Every form of log V, by its name in the output. The KL forms are exp(2 KL L), where L is 1 or the mean length."""

Gradients = Mapping[int, Mapping[str, Mapping[str, GradientSpread]]]


def anchor_rows(
    samples: Mapping[int, GuideSamples], gradients: Gradients, k: int, resamples_R_P: Floats
) -> dict[str, Any]:
    """Estimate everything about one anchor.

    Args:
        samples: distance -> samples of the guide at that distance, ascending from 0, all on the same prompts.
        gradients: distance -> which samples -> weighting -> spread; empty if they were not computed.
        k: how many samples the guide may use for coverage.
        resamples_R_P: [R, P], the same for all distances, so that differences between distances are paired.

    Returns:
        `distances` (a row each), `maximum`, `fits` and `gradient_rank_correlation`, as JSON values (None: unknown).
    """
    quality = {
        "coverage": {d: signal.coverage(s, k, resamples_R_P) for d, s in samples.items()},
        "pass_rate": {d: signal.pass_rate(s, resamples_R_P) for d, s in samples.items()},
    }
    ks = {"coverage": k, "pass_rate": 1}
    log_cost = {name: {d: of(s, resamples_R_P) for d, s in samples.items()} for name, of in LOG_COSTS.items()}
    effective = {
        (q, v): {d: signal.effective_signal(quality[q][d], log_cost[v][d]) for d in samples}
        for q in QUALITIES
        for v in LOG_COSTS
    }
    rows = []
    for distance, of_guide in samples.items():
        num = {q: int(np.count_nonzero(of_guide.num_judged_P >= ks[q])) for q in QUALITIES}
        qualities = {
            q: {**_share(by[distance], num[q]), **_gain(by[distance], by[0], num[q] if distance else None)}
            for q, by in quality.items()
        }
        costs = {v: _cost(by[distance]) for v, by in log_cost.items()}
        signals = {
            q: {v: _signal(quality[q][distance], log_cost[v][distance], qualities[q]["ci"]) for v in LOG_COSTS}
            for q in QUALITIES
        }
        rows.append(
            {
                "distance": distance,
                **_named("quality", qualities[DEFAULT_QUALITY]),
                **_named("variance_cost", costs[DEFAULT_COST]),
                **_named("effective_signal", signals[DEFAULT_QUALITY][DEFAULT_COST]),
                "qualities": qualities,
                "variance_costs": costs,
                "effective_signals": signals,
                **_facts(of_guide, resamples_R_P),
                "gradients": _spreads(gradients, distance),
            }
        )
    return {
        "distances": rows,
        "maximum": {q: {v: _maximum(effective[q, v]) for v in LOG_COSTS} for q in QUALITIES},
        "fits": {
            "variance_costs": {v: _power_law(by) for v, by in log_cost.items()},
            "qualities": {q: _saturation(by) for q, by in quality.items()},
        },
        "gradient_rank_correlation": _judge_proxies(gradients, log_cost),
    }


def _estimate(values_R: Floats) -> dict[str, Any]:
    return {"value": number(values_R[0]), "ci": _pair(interval(values_R))}


def _named(name: str, estimate: dict[str, Any]) -> dict[str, Any]:
    return {name: estimate["value"], f"{name}_ci": estimate["ci"]}


def _share(values_R: Floats, num_prompts: int, least: float = 0.0) -> dict[str, Any]:
    """Return a share, or a difference of two, that is certain only as far as the number of prompts allows."""
    if _has_scatter(values_R):
        return _estimate(values_R)
    return {"value": number(values_R[0]), "ci": _pair(without_scatter(float(values_R[0]), num_prompts, least=least))}


def _gain(values_R: Floats, at_zero_R: Floats, num_prompts: int | None) -> dict[str, Any]:
    """Return what the guide brings beyond trying again with the learner itself; None: it is the learner."""
    gain_R = values_R - at_zero_R
    found = _estimate(gain_R) if num_prompts is None else _share(gain_R, num_prompts, least=-1.0)
    return {"gain": found["value"], "gain_ci": found["ci"]}


def _signal(quality_R: Floats, log_cost_R: Floats, quality_ci: list[float | None]) -> dict[str, Any]:
    """Return S; where all prompts went alike, its bounds are those of Q over those of V."""
    found = _estimate(signal.effective_signal(quality_R, log_cost_R))
    low, high = quality_ci
    if _has_scatter(quality_R) or low is None or high is None:
        return found
    cheapest, dearest = interval(log_cost_R)
    return {**found, "ci": _pair((low * math.exp(-dearest), high * math.exp(-cheapest)))}


def _has_scatter(values_R: Floats) -> bool:
    known = values_R[np.isfinite(values_R)]
    return not len(known) or bool(np.ptp(known) > ROUNDING)


def _cost(log_cost_R: Floats) -> dict[str, Any]:
    with np.errstate(over="ignore"):
        return {**_estimate(np.exp(log_cost_R)), "log_value": number(log_cost_R[0])}


def _facts(samples: GuideSamples, resamples_R_P: Floats) -> dict[str, Any]:
    ess_R = variance_cost.effective_sample_size(samples, resamples_R_P)
    return {
        "effective_sample_frac": number(ess_R[0]),
        "effective_sample_frac_ci": _pair(interval(ess_R)),
        "kl_k1": number(variance_cost.kl_k1(samples, resamples_R_P)[0]),
        "kl_k3": number(variance_cost.kl_k3(samples, resamples_R_P)[0]),
        "mean_length": number(variance_cost.mean_length(samples, resamples_R_P)[0]),
        "num_samples": len(samples.prompt_N),
        "num_correct": int(samples.num_correct_P.sum()),
        "num_unjudged": int(len(samples.prompt_N) - samples.num_judged_P.sum()),
        "num_tokens": len(samples.log_ratios_K),
    }


def _spreads(gradients: Gradients, distance: int) -> dict[str, Any]:
    """Return the traces, each also as a multiple of the same trace on the learner's own samples."""
    found: dict[str, Any] = {}
    for kind, of_weighting in gradients.get(distance, {}).items():
        own = gradients.get(0, {}).get(kind, {})
        found[kind] = {
            name: {
                "trace": number(spread.trace),
                "trace_ci": _pair(spread.trace_ci),
                "relative_trace": number(spread.trace / own[name].trace) if name in own and own[name].trace else None,
                "noise_to_signal": number(spread.noise_to_signal),
                "noise_to_signal_ci": _pair(spread.noise_to_signal_ci),
                "num_samples": spread.num_samples,
            }
            for name, spread in of_weighting.items()
        }
    return found


def _judge_proxies(gradients: Gradients, log_cost: Mapping[str, Mapping[int, Floats]]) -> dict[str, Any]:
    """Return the rank correlation over distances of each V with the true trace: which samples -> weighting -> V."""
    distances = list(next(iter(log_cost.values())))
    kinds = {kind: list(by) for of_guide in gradients.values() for kind, by in of_guide.items()}
    judged: dict[str, Any] = {}
    for kind, weightings in kinds.items():
        judged[kind] = {}
        for name in weightings:
            traces = [gradients[d][kind][name].trace if kind in gradients.get(d, {}) else np.nan for d in distances]
            judged[kind][name] = {
                v: number(rank_correlation(np.array([by[d][0] for d in distances]), np.array(traces)))
                for v, by in log_cost.items()
            }
    return judged


def _maximum(by_distance: Mapping[int, Floats]) -> dict[str, Any] | None:
    values_R_D = np.column_stack(list(by_distance.values()))
    if not np.isfinite(values_R_D).all():
        return None
    found = find_maximum(np.array(list(by_distance), dtype=np.float64), values_R_D)
    return {name: _pair(value) if isinstance(value, tuple) else value for name, value in asdict(found).items()}


def _power_law(by_distance: Mapping[int, Floats]) -> dict[str, Any]:
    law = fit_power_law(np.array(list(by_distance), dtype=np.float64), np.column_stack(list(by_distance.values())))
    return {
        "factor": number(law.factor_R[0]),
        "exponent": number(law.exponent_R[0]),
        "exponent_ci": _pair(interval(law.exponent_R)),
        "num_points": law.num_points,
    }


def _saturation(by_distance: Mapping[int, Floats]) -> dict[str, Any] | None:
    if len(by_distance) <= MIN_POINTS:
        return None
    law = fit_saturation(np.array(list(by_distance), dtype=np.float64), np.column_stack(list(by_distance.values())))
    return {
        "start": number(law.start_R[0]),
        "end": number(law.end_R[0]),
        "end_ci": _pair(interval(law.end_R)),
        "scale": number(law.scale_R[0]),
        "scale_ci": _pair(interval(law.scale_R)),
        "has_scale": bool(law.has_scale_R[0]),
        "has_scale_frac": number(law.has_scale_R[1:].mean()),
    }


def number(value: Any) -> float | None:
    """Return a float that JSON can hold; None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def _pair(pair: tuple[float, float]) -> list[float | None]:
    return [number(pair[0]), number(pair[1])]
