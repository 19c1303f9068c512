"""The plateau trigger measured as one measures a detector: false alarms on healthy runs, delay on plateaued ones.

What it does: takes two real GRPO runs of the apprentice's world (500 steps, 64 prompts x 8 rollouts;
`measurements/data`, made by `nearfuture train configs/apprentice/grpo.yaml run_dir=... max_steps=500 seed=0`, and 1),
splits each into a smooth trend and what is left, and builds series of known truth: the trend of the real runs,
stretched or stopped at a step, plus the real noise of the same stretch, drawn in blocks. Settings are chosen on one
seed of the noise and reported on two others. The bar is one false alarm per 1,000 steps in *every* healthy family.
Beside:

    bound   the likelihood ratio that is told the true curve of the healthy run, its noise and its level, with the
            threshold at which it has one false alarm per 1,000 steps in its own family: no detector is faster
    before  the moving average and two t-tests of the release before, at its default settings

What it leaves out: the confirming probe, which sees what no curve shows; other worlds, models, tasks than these.

    OMP_NUM_THREADS=1 python measurements/trigger_detector.py     # about three minutes on a core

Letters: `M` series, `T` steps, `K` places where a rise may have ended.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearfuture.method.trends import GROWTH, MIN_ROWS, NOISE_ROWS, SMALLEST, START
from nearfuture.method.trigger import SMALLEST_ENTROPY, PlateauTrigger, TriggerConfig

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HERE = Path(__file__).parent
BLOCK, NEAR, DEGREE = 8, 20, 5
CHOSEN_ON, REPORTED_ON = 0, (1, 2)
ENTROPY_DECAY = 150.0  # steps per factor e beyond the end of the real runs, as in their last 200 steps
BAR, MARGIN = 1.0, 0.9  # false alarms per 1,000 steps; settings are chosen below both


class Real:
    """Trend and noise of the real runs: polynomials of degree 5 in log(step + 20), and what they leave."""

    def __init__(self) -> None:
        runs = [np.loadtxt(path, delimiter=",", skiprows=1).T for path in sorted((HERE / "data").glob("grpo_*.csv"))]
        self.rewards = np.stack([run[1] for run in runs])
        self.entropies = np.stack([run[2] for run in runs])
        self.num = self.rewards.shape[1]
        self.reward, self.reward_noise = self._split(self.rewards)  # [T], [runs, T]
        self.entropy, self.entropy_noise = self._split(self.entropies)
        assert (np.diff(self.reward) > 0).all(), "the real trend is a rise"

    def _split(self, values: Floats) -> tuple[Floats, Floats]:
        clock = np.log(np.arange(1, self.num + 1) + 20)
        fitted = [np.polyval(np.polyfit(clock, run, DEGREE), clock) for run in values]
        return np.mean(fitted, axis=0), values - np.stack(fitted)

    def entropy_at(self, step_T: Floats) -> Floats:
        """The trend of the entropy, going on to fall beyond the end of the real runs."""
        inside = np.interp(step_T, np.arange(1, self.num + 1), self.entropy)
        return inside * np.exp(-np.maximum(step_T - self.num, 0) / ENTROPY_DECAY)

    def reward_at(self, step_T: Floats) -> Floats:
        """The trend of the reward, going on at its last pace beyond the end of the real runs."""
        pace = (self.reward[-1] - self.reward[-51]) / 50
        inside = np.interp(step_T, np.arange(1, self.num + 1), self.reward)
        return inside + pace * np.maximum(step_T - self.num, 0)

    def sigma_at(self, step_T: Floats) -> Floats:
        """The noise of the reward around a step."""
        centre = np.clip(step_T.astype(int), NEAR, self.num - NEAR - BLOCK)
        table = {c: self.reward_noise[:, c - NEAR : c + NEAR + BLOCK].std() for c in set(centre.tolist())}
        return np.array([table[c] for c in centre.tolist()])

    def series(self, family: Family, num: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw [M, T] rewards and entropies; noise is that of the real runs within 20 steps of the source step."""
        step_T = np.arange(1.0, family.num_steps + 1)
        source_T, entropy_source_T = family.reward_step(step_T), family.entropy_step(step_T)
        reward_noise = self._draw(self.reward_noise, source_T, num, rng) * family.noise
        entropy_noise = self._draw(self.entropy_noise, entropy_source_T, num, rng) * family.noise
        return self.reward_at(source_T) + reward_noise, self.entropy_at(entropy_source_T) + entropy_noise

    def _draw(self, noise: Floats, source_T: Floats, num: int, rng: np.random.Generator) -> Floats:
        num_blocks = -(-len(source_T) // BLOCK)
        centre_B = np.clip(source_T[::BLOCK].astype(int), NEAR, self.num - NEAR - BLOCK)
        start_M_B = centre_B + rng.integers(-NEAR, NEAR, (num, num_blocks))
        run_M_B = rng.integers(0, len(noise), start_M_B.shape)
        index = (start_M_B[..., None] + np.arange(BLOCK)).reshape(num, -1)
        return noise[np.repeat(run_M_B, BLOCK, axis=1), index][:, : len(source_T)]


Clock = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Family:
    """Series whose reward at step t is that of the real runs at `reward_step(t)`, and their entropy likewise."""

    name: str
    num_steps: int
    reward_step: Clock
    entropy_step: Clock
    onset: int | None = None
    noise: float = 1.0


def same(t: Floats) -> Floats:
    """The clock of the real runs."""
    return t


def until(step: int) -> Clock:
    """The clock that stops at a step."""
    return lambda t: np.minimum(t, step)


def always(step: int) -> Clock:
    """The clock that stands at a step."""
    return lambda t: np.full_like(t, step)


def times(factor: float) -> Clock:
    """A faster or slower clock."""
    return lambda t: t * factor


HEALTHY = [
    Family("as the real runs", 500, same, same),
    Family("slow rise (half the speed)", 1000, times(0.5), times(0.5)),
    Family("noisy rise (noise x 2)", 500, same, same, noise=2.0),
    Family("entropy collapses 3 x faster", 500, same, times(3.0)),
    Family("reward flat from 200, entropy too", 600, until(200), until(200)),
]
PLATEAUED = [
    Family("flat from 100", 500, until(100), same, onset=100),
    Family("flat from 200", 600, until(200), same, onset=200),
    Family("flat from 300", 700, until(300), same, onset=300),
    Family("flat from 200, noise x 2", 600, until(200), same, onset=200, noise=2.0),
    Family("flat from 200, entropy half speed", 700, until(200), times(0.5), onset=200),
    Family("flat from the start", 400, always(250), same, onset=0),
    Family("flat from the start, sparse", 400, always(20), same, onset=0),
]


def slopes(values_M_T: Floats, window: int) -> tuple[Floats, Floats, Floats]:
    """Mean, slope and its standard error over every full window; the same as `method.trends.fit_line`."""
    num = values_M_T.shape[1] - window + 1
    x = np.arange(window) - (window - 1) / 2
    sums = [_moving_sum(power, window) for power in (values_M_T, values_M_T**2)]
    ramp = _moving_sum(values_M_T * np.arange(values_M_T.shape[1]), window)
    mean = sums[0] / window
    slope = (ramp - sums[0] * (np.arange(num) + (window - 1) / 2)) / (x**2).sum()
    residual = sums[1] - window * mean**2 - slope**2 * (x**2).sum()
    return mean, slope, np.sqrt(np.maximum(residual, 0) / (window - 2) / (x**2).sum())


def _moving_sum(values: Floats, window: int) -> Floats:
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    return total[:, window:] - total[:, :-window]


@dataclass(frozen=True)
class Before:
    """The trigger of the release before, at its default settings."""

    window: int = 75
    max_reward_t: float = 0.75
    max_entropy_t: float = -3.0
    min_entropy_drop: float = 0.02
    patience: int = 10
    ema_weight: float = 0.1
    warmup: int = 20
    cooldown: int = 50


def held_before(reward: Floats, entropy: Floats, config: Before) -> Bools:
    """EMA(t) - EMA(t - W) <= k SE, and the slope of the entropy below z of its errors; False without a full window."""
    held, window, w = np.zeros(reward.shape, dtype=bool), config.window, config.ema_weight
    ema = reward.copy()
    for t in range(1, reward.shape[1]):
        ema[:, t] = ema[:, t - 1] + w * (reward[:, t] - ema[:, t - 1])
    noise = np.sqrt(_moving_sum(np.diff(reward, axis=1) ** 2, window) / window / 2)
    error = noise * np.sqrt(2 * w / (2 - w) * (1 - (1 - w) ** window))
    held[:, window:] = ema[:, window:] - ema[:, :-window] <= config.max_reward_t * error
    mean, slope, slope_se = slopes(entropy, window)
    drop = -slope * (window - 1)
    held[:, : window - 1] = False
    held[:, window - 1 :] &= (slope <= config.max_entropy_t * slope_se) & (
        drop > config.min_entropy_drop * np.abs(mean)
    )
    return held


def _prefix(values: Floats) -> Floats:
    return np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)


@dataclass(frozen=True)
class Weighed:
    """[M, T] nats for "it has stopped", and the step after which: the same as `method.trends.Curve.halt`."""

    evidence: Floats
    after: NDArray[np.int_]


def weigh(y: Floats, config: TriggerConfig) -> Weighed:
    """Weigh every step of every series; -inf where there are too few rows."""
    num_series, num = y.shape
    y = y - y[:, :1]
    x = np.log(np.arange(1, num + 1) + START)[None]
    sums = [_prefix(np.broadcast_to(v, y.shape)) for v in (np.ones_like(x), x, x * x, y, x * y, y * y)]
    changes = _prefix(np.pad(np.diff(y, axis=1) ** 2 / 2, ((0, 0), (1, 0))))
    lengths = [config.min_stretch]
    while lengths[-1] < num:
        lengths.append(int(np.ceil(lengths[-1] * GROWTH)))
    found = Weighed(np.full(y.shape, -np.inf), np.zeros(y.shape, dtype=int))
    for now in range(1, num + 1):
        low = int((1.0 - config.look_back) * now)
        if now - low < max(MIN_ROWS, config.min_stretch):
            continue
        first_K = np.array([now - d for d in lengths if now - d >= low + MIN_ROWS] + [low])
        begin = max(1, now - NOISE_ROWS)
        variance = (changes[:, now] - changes[:, begin]) / max(now - begin, 1)
        sigma = np.sqrt(np.maximum(variance, SMALLEST**2))
        evidence = _evidence(sums, low, first_K, now, sigma, config)
        best = evidence.argmax(axis=1)
        found.evidence[:, now - 1] = evidence[np.arange(num_series), best]
        found.after[:, now - 1] = first_K[best]
    return found


def _evidence(
    sums: list[Floats], low: int, first_K: NDArray[np.int_], now: int, sigma: Floats, config: TriggerConfig
) -> Floats:
    """[M, K] nats for a stop before each of the rows `first_K`."""
    rising = [s[:, first_K] - s[:, [low]] for s in sums]
    after = [s[:, [now]] - s[:, first_K] for s in sums]
    at, least = np.log(first_K + START), (config.min_pace * sigma)[:, None]

    def residual(share: float) -> Floats:
        n, x, xx, y, xy, yy = after
        a = (1.0 - share) * at
        bent = (n, n * a + share * x, n * a * a + 2 * a * share * x + share**2 * xx, y, a * y + share * xy, yy)
        n, x, xx, y, xy, yy = (r + b for r, b in zip(rising, bent, strict=True))
        spread, common = xx - x * x / n, xy - x * y / n
        slope = np.maximum(np.where(spread > 1e-9, common / np.where(spread > 1e-9, spread, 1.0), 0.0), least)
        return yy - y * y / n - 2 * slope * common + slope * slope * spread

    stopped = residual(0.0)
    stopped[:, -1] = after[5][:, -1] - after[3][:, -1] ** 2 / after[0][:, -1]
    return (residual(config.slowdown) - stopped) / (2 * sigma[:, None] ** 2)


def dropped(entropy: Floats, after: NDArray[np.int_]) -> Floats:
    """[M, T] share of its mean that the entropy has lost since the step in `after`, by a straight line."""
    step = np.arange(1, entropy.shape[1] + 1.0)[None]
    sums = [_prefix(np.broadcast_to(v, entropy.shape)) for v in (np.ones_like(step), step, step**2, entropy)]
    sums.append(_prefix(step * entropy))
    rows = np.arange(len(entropy))[:, None]
    n, t, tt, h, th = (s[:, 1:] - s[rows, after] for s in sums)
    n = np.maximum(n, 2)
    slope = (th - t * h / n) / np.maximum(tt - t * t / n, 1e-9)
    return -slope * (n - 1) / np.abs(h / n)


@dataclass(frozen=True)
class Series:
    """Everything about one family that does not depend on a threshold."""

    family: Family
    reward: Floats
    entropy: Floats
    weighed: Weighed
    entropy_evidence: Floats
    drop: Floats

    @classmethod
    def of(cls, family: Family, reward: Floats, entropy: Floats, config: TriggerConfig) -> Series:
        """Weigh both curves."""
        weighed = weigh(reward, config)
        other = weigh(-np.log(np.maximum(entropy, SMALLEST_ENTROPY)), config).evidence
        return cls(family, reward, entropy, weighed, other, dropped(entropy, weighed.after))

    @property
    def is_plateaued(self) -> bool:
        """True where the rise ends, or never was one, while the entropy falls."""
        return self.family.onset is not None

    def held(self, config: TriggerConfig) -> Bools:
        """[M, T] the conditions of `PlateauTrigger`."""
        falls = (self.entropy_evidence <= config.max_entropy_evidence) & (self.drop > config.min_entropy_drop)
        return (self.weighed.evidence >= config.min_evidence) & falls


class Timing(NamedTuple):
    """What firing needs beside the evidence."""

    patience: int
    warmup: int
    cooldown: int


def timing(config: TriggerConfig | Before) -> Timing:
    """Of a trigger."""
    return Timing(config.patience, config.warmup, config.cooldown)


def firings(held: Bools, when: Timing) -> list[list[int]]:
    """Steps of every firing of every series, with patience, warm-up and cool-down."""
    found = []
    for row in _lasting(held, when.patience):
        steps, cool_until = [], when.warmup
        for step in (np.flatnonzero(row) + 1).tolist():
            if step >= cool_until:
                steps.append(step)
                cool_until = step + when.cooldown
        found.append(steps)
    return found


def _lasting(held: Bools, patience: int) -> Bools:
    """Where it has held for `patience` steps."""
    lasting = np.zeros_like(held)
    lasting[:, patience - 1 :] = _moving_sum(held.astype(float), patience) == patience
    return lasting


def alarms(fired: list[list[int]], num_steps: int) -> float:
    """Firings per 1,000 steps."""
    return 1000 * sum(map(len, fired)) / (len(fired) * num_steps)


class Delay(NamedTuple):
    """How long a plateau is not seen, and alarms per 1,000 steps before it."""

    mean: float
    median: float
    slow: float
    early: float


def delay(fired: list[list[int]], family: Family) -> Delay:
    """Of the first firing after the onset; a series that never fires counts with what is left of it in the mean."""
    onset = family.onset or 0
    after = [min((s - onset for s in steps if s > onset), default=np.inf) for steps in fired]
    early = 1000 * sum(s <= onset for steps in fired for s in steps) / (len(fired) * onset) if onset else 0.0
    mean = float(np.minimum(after, family.num_steps - onset).mean())
    return Delay(mean, quantile(after, 0.5), quantile(after, 0.9), early)


def quantile(values: list[float], q: float) -> float:
    """A quantile that is one of the values; infinite where too many series never fired."""
    return float(np.quantile(values, q, method="higher"))


def bound(real: Real, family: Family, reward: Floats, rng: np.random.Generator) -> Delay:
    """The delay of the likelihood ratio that knows the healthy curve, its noise and its level.

        max_k sum_(i > k) [(y_i - mu_i)^2 - (y_i - mu_k)^2] / (2 sigma_i^2)

    Its threshold is the lowest at which it has one false alarm per 1,000 steps on the healthy run that does not stop.
    """
    begin = 0 if family.onset else int(family.reward_step(np.array([1.0]))[0])
    healthy = replace(family, reward_step=lambda t: t + begin, onset=None)
    step_T = np.arange(1.0, family.num_steps + 1) + begin
    curve_T, sigma_T = real.reward_at(step_T), real.sigma_at(step_T) * family.noise
    ratios = [_ratio(y, curve_T, sigma_T) for y in (real.series(healthy, len(reward), rng)[0], reward)]
    low, high, when = 0.0, 40.0, Timing(1, 20, 50)
    for _ in range(14):
        middle = (low + high) / 2
        is_too_low = alarms(firings(ratios[0] >= middle, when), family.num_steps) > BAR
        low, high = (middle, high) if is_too_low else (low, middle)
    return delay(firings(ratios[1] >= high, when), family)


def _ratio(y: Floats, curve_T: Floats, sigma_T: Floats) -> Floats:
    weight = 1 / (2 * sigma_T**2)
    off, plain, first, second = (
        _prefix(v) for v in ((y - curve_T) ** 2 * weight, np.broadcast_to(weight, y.shape), y * weight, y * y * weight)
    )
    found = np.zeros(y.shape)
    for now in range(1, y.shape[1] + 1):
        k = np.arange(max(0, now - 300), now)
        level = curve_T[np.maximum(k - 1, 0)]
        flat = (second[:, [now]] - second[:, k]) - 2 * level * (first[:, [now]] - first[:, k])
        flat += level**2 * (plain[:, [now]] - plain[:, k])
        found[:, now - 1] = (off[:, [now]] - off[:, k] - flat).max(axis=1)
    return found


def check_against_the_trigger(data: list[Series], config: TriggerConfig) -> int:
    """The class that ships must fire at the same steps as the vectorised copy; returns how many firings agreed."""
    agreed = 0
    for series in data:
        expected = firings(series.held(config)[:1], timing(config))[0]
        trigger = PlateauTrigger(config)
        rows = enumerate(zip(series.reward[0].tolist(), series.entropy[0].tolist(), strict=True), start=1)
        fired = [step for step, (r, h) in rows if trigger.observe(step, r, h)]
        assert fired == expected, (series.family.name, fired, expected)
        agreed += len(fired)
    return agreed


SWEPT = [
    {"min_pace": pace, "slowdown": slowdown, "look_back": look_back}
    for pace, slowdown, look_back in ((3.0, 0.6, 0.7), (2.0, 0.6, 0.7), (3.0, 0.6, 0.85), (3.0, 1.0, 0.7))
]


def choose(real: Real, num: int) -> Iterator[tuple[TriggerConfig, list[float], list[Delay]]]:
    """For every way to weigh, the fastest thresholds within the bar on the seed that is not reported."""
    rng = np.random.default_rng(CHOSEN_ON)
    drawn = [(family, *real.series(family, num, rng)) for family in HEALTHY + PLATEAUED]
    for weights in SWEPT:
        config = replace(TriggerConfig(), **weights)
        data = [Series.of(*row, config) for row in drawn]
        found = []
        for patience, allowed in product((1, 3), (0.0, 1.0)):
            for least in np.arange(1.5, 8.01, 0.1).round(1).tolist():  # a higher threshold is only slower
                tried = replace(config, patience=patience, max_entropy_evidence=allowed, min_evidence=least)
                fired = [firings(s.held(tried), timing(tried)) for s in data]
                false = [alarms(f, s.family.num_steps) for f, s in zip(fired, data, strict=True) if not s.is_plateaued]
                if max(false) <= MARGIN * BAR:
                    late = [delay(f, s.family) for f, s in zip(fired, data, strict=True) if s.is_plateaued]
                    found.append((tried, false, late))
                    break
        yield min(found, key=lambda f: float(np.mean([d.median + d.slow for d in f[2]])))


def main() -> None:
    """Measure, choose, write."""
    parser = argparse.ArgumentParser(description="Measure the plateau trigger as a detector.")
    parser.add_argument("--num-series", type=int, default=200)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "trigger.md")
    arguments = parser.parse_args()
    with arguments.output.open("w") as file:
        for line in report(Real(), arguments.num_series):
            print(line, flush=True)
            print(line, file=file, flush=True)


def report(real: Real, num: int) -> Iterator[str]:
    """Yield the lines of the page."""
    config = TriggerConfig()
    yield "# The plateau trigger as a detector\n"
    yield "Written by `measurements/trigger_detector.py`, which says what the series, `bound` and `before` are."
    yield f"{num} series a family. Settings were chosen on seed {CHOSEN_ON} of the noise.\n"
    yield f"Default settings: {settings(config)}.\n"
    for seed in REPORTED_ON:
        yield from _reported(real, num, seed, config)
    yield "## On real runs, from their first step to their last\n"
    yield "| run | steps | the trigger fires at | before |\n|---|---|---|---|"
    for path in sorted((HERE / "data").glob("*.csv")):
        yield on_a_real_run(path, config)
    yield "\nNoise around the trend of the two short runs, lag-1 correlation: " + ", ".join(
        f"{np.corrcoef(noise[:-1], noise[1:])[0, 1]:+.2f} ({name}, seed {seed})"
        for name, both in (("reward", real.reward_noise), ("entropy", real.entropy_noise))
        for seed, noise in enumerate(both)
    )
    yield f"\n## What was chosen from (seed {CHOSEN_ON})\n"
    yield f"Each way to weigh with its fastest thresholds at up to {MARGIN * BAR:g} false alarms per 1,000 steps.\n"
    yield "| settings | worst healthy family | delay, mean over families: median | 90 % |\n|---|---|---|---|"
    for tried, false, late in choose(real, num):
        middle, slow = (float(np.mean([getattr(d, name) for d in late])) for name in ("median", "slow"))
        yield f"| {settings(tried)} | {max(false):.2f} | {middle:.0f} | {slow:.0f} |"


def _reported(real: Real, num: int, seed: int, config: TriggerConfig) -> Iterator[str]:
    rng, old = np.random.default_rng(seed), Before()
    data = [Series.of(family, *real.series(family, num, rng), config) for family in HEALTHY + PLATEAUED]
    yield f"## Seed {seed} of the noise\n"
    if seed == REPORTED_ON[0]:
        yield f"The shipped class fired at the same {check_against_the_trigger(data, config)} steps as the copy here.\n"
    yield "| healthy family | steps | false alarms per 1,000 steps | before |\n|---|---|---|---|"
    for series in data[: len(HEALTHY)]:
        both = [
            alarms(firings(held, when), series.family.num_steps)
            for held, when in (
                (series.held(config), timing(config)),
                (held_before(series.reward, series.entropy, old), timing(old)),
            )
        ]
        yield f"| {series.family.name} | {series.family.num_steps} | {both[0]:.2f} | {both[1]:.2f} |"
    yield "\n| plateaued family | steps | delay: median | 90 % | bound | before | alarms per 1,000 steps before it |"
    yield "|---|---|---|---|---|---|---|"
    for series in data[len(HEALTHY) :]:
        ours = delay(firings(series.held(config), timing(config)), series.family)
        best = bound(real, series.family, series.reward, rng)
        then = delay(firings(held_before(series.reward, series.entropy, old), timing(old)), series.family)
        yield (
            f"| {series.family.name} | {series.family.num_steps} | {ours.median:.0f} | {ours.slow:.0f} | "
            f"{best.median:.0f} / {best.slow:.0f} | {then.median:.0f} / {then.slow:.0f} | {ours.early:.2f} |"
        )
    yield ""


def on_a_real_run(path: Path, config: TriggerConfig) -> str:
    """Where both triggers fire in a run."""
    with path.open() as file:
        rows = [(int(step), float(reward), float(entropy)) for step, reward, entropy in list(csv.reader(file))[1:]]
    trigger, old = PlateauTrigger(config), Before()
    ours = [step for step, reward, entropy in rows if trigger.observe(step, reward, entropy)]
    reward, entropy = (np.array([[row[i] for row in rows]]) for i in (1, 2))
    then = firings(held_before(reward, entropy, old), timing(old))[0]
    cells = [", ".join(map(str, steps)) or "never" for steps in (ours, then)]
    return f"| {path.stem} | {rows[-1][0]} | {cells[0]} | {cells[1]} |"


def settings(config: TriggerConfig) -> str:
    """Those that were chosen."""
    names = ("min_evidence", "max_entropy_evidence", "min_pace", "slowdown", "look_back", "patience")
    return ", ".join(f"{name}={getattr(config, name):g}" for name in names)


if __name__ == "__main__":
    main()
