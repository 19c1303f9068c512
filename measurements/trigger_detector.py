"""The plateau trigger measured as one measures a detector: false alarms on healthy runs, delay on plateaued ones.

What it does: takes two real GRPO runs of the apprentice's world (500 steps, 64 prompts x 8 rollouts;
`measurements/data`, made by `nearfuture train configs/apprentice/grpo.yaml run_dir=... max_steps=500 seed=0`, and 1),
splits each into a smooth trend and what is left, and builds series of known truth: the trend of the real runs,
stretched or stopped at a step, plus the real noise of the same stretch, drawn in blocks. It sweeps the settings, says
which one the rule below chooses, and writes `measurements/results/trigger.md`. The bar is one false alarm per 1,000
steps in *every* healthy family. The rule: among the settings that stay a fifth under it (at the bar itself the choice
changes with the seed of the noise), the one with the smallest 90 % delay, averaged over the plateaued families.

What it leaves out: the confirming probe, which sees what no curve shows; other worlds, models, tasks than these.

    OMP_NUM_THREADS=1 python measurements/trigger_detector.py     # about two minutes on a busy core

Letters: `M` series, `T` steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nearfuture.method.trigger import PlateauTrigger, TriggerConfig

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HERE = Path(__file__).parent
NUM_SERIES, BLOCK, NEAR, DEGREE = 400, 8, 20, 5
ENTROPY_DECAY = 150.0  # steps per factor e beyond the end of the real runs, as in their last 200 steps
BAR, MARGIN = 1.0, 0.8  # false alarms per 1,000 steps
LOOSER = [(20, 1.0, 3), (20, 2.0, 3), (30, 1.0, 3), (30, 2.0, 3), (40, 1.5, 3), (50, 1.5, 3), (75, 1.5, 3)]


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

    def series(self, family: Family, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw [M, T] rewards and entropies; noise is that of the real runs within 20 steps of the source step."""
        step_T = np.arange(1.0, family.num_steps + 1)
        source_T, entropy_source_T = family.reward_step(step_T), family.entropy_step(step_T)
        reward_T = np.interp(source_T, np.arange(1, self.num + 1), self.reward)
        reward_noise = self._draw(self.reward_noise, source_T, rng) * family.noise
        entropy_noise = self._draw(self.entropy_noise, entropy_source_T, rng) * family.noise
        return reward_T + reward_noise, self.entropy_at(entropy_source_T) + entropy_noise

    def _draw(self, noise: Floats, source_T: Floats, rng: np.random.Generator) -> Floats:
        num_blocks = -(-len(source_T) // BLOCK)
        centre_B = np.clip(source_T[::BLOCK].astype(int), NEAR, self.num - NEAR - BLOCK)
        start_M_B = centre_B + rng.integers(-NEAR, NEAR, (NUM_SERIES, num_blocks))
        run_M_B = rng.integers(0, len(noise), start_M_B.shape)
        index = (start_M_B[..., None] + np.arange(BLOCK)).reshape(NUM_SERIES, -1)
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


def held_by_ema(reward: Floats, entropy: Floats, config: TriggerConfig) -> Bools:
    """Both conditions of `PlateauTrigger`, [M, T]: EMA(t) - EMA(t - W) <= k SE; False where the window is not full."""
    held, window, w = np.zeros(reward.shape, dtype=bool), config.window, config.ema_weight
    ema = reward.copy()
    for t in range(1, reward.shape[1]):
        ema[:, t] = ema[:, t - 1] + w * (reward[:, t] - ema[:, t - 1])
    noise = np.sqrt(_moving_sum(np.diff(reward, axis=1) ** 2, window) / window / 2)
    error = noise * np.sqrt(2 * w / (2 - w) * (1 - (1 - w) ** window))
    held[:, window:] = ema[:, window:] - ema[:, :-window] <= config.max_reward_t * error
    return held & declines(entropy, config)


def held_by_slope(reward: Floats, entropy: Floats, config: TriggerConfig) -> Bools:
    """The alternative: the least-squares slope of the reward is at most k of its standard errors."""
    held = np.zeros(reward.shape, dtype=bool)
    _, slope, slope_se = slopes(reward, config.window)
    held[:, config.window - 1 :] = slope <= config.max_reward_t * slope_se
    return held & declines(entropy, config)


def declines(entropy: Floats, config: TriggerConfig) -> Bools:
    """The condition on the entropy, the same for both."""
    declining = np.zeros(entropy.shape, dtype=bool)
    mean, slope, slope_se = slopes(entropy, config.window)
    drop = -slope * (config.window - 1)
    declining[:, config.window - 1 :] = (slope <= config.max_entropy_t * slope_se) & (
        drop > config.min_entropy_drop * np.abs(mean)
    )
    return declining


Held = Callable[[Floats, Floats, TriggerConfig], Bools]
PROPOSED = replace(TriggerConfig(), window=20, max_reward_t=1.0, max_entropy_t=0.0, patience=3, cooldown=20)
TESTS: dict[str, Held] = {"EMA": held_by_ema, "slope": held_by_slope}
SWEPT = [
    ("EMA", (20, 50, 60, 75, 90), (0.5, 0.75, 1.0, 1.25)),
    ("slope", (50, 75, 85, 95, 120), (0.0, 0.25, 0.5)),
]


def firings(held: Bools, config: TriggerConfig) -> list[list[int]]:
    """Steps of every firing of every series, with patience, warm-up and cool-down."""
    found = []
    for row in held:
        steps, run, cool_until = [], 0, 0
        for step, holds in enumerate(row, start=1):
            run = run + 1 if holds else 0
            if run >= config.patience and step >= max(config.warmup, cool_until):
                steps.append(step)
                cool_until = step + config.cooldown
        found.append(steps)
    return found


@dataclass(frozen=True)
class Measured:
    """One setting: alarms per 1,000 steps of each healthy family; of each plateaued one (mean, median, 90 %) delay.

    `early` are the alarms per 1,000 steps before the plateau.
    """

    test: str
    config: TriggerConfig
    alarms: list[float]
    delays: list[tuple[float, float, float]]
    early: list[float]

    @property
    def is_within_bar(self) -> bool:
        """True where no healthy family has more false alarms than allowed, with the margin."""
        return max(self.alarms) <= MARGIN * BAR

    @property
    def mean_delay(self) -> float:
        """Over the plateaued families; a series that never fires counts with what is left of it."""
        return float(np.mean([mean for mean, _, _ in self.delays]))

    @property
    def slowness(self) -> float:
        """The 90 % delay, averaged over the plateaued families."""
        return float(np.mean([slow for _, _, slow in self.delays]))


def measure(test: str, held: Held, config: TriggerConfig, data: list[tuple[Family, Floats, Floats]]) -> Measured:
    """Run one test at one setting over all series."""
    alarms, delays, early = [], [], []
    for family, reward, entropy in data:
        fired = firings(held(reward, entropy, config), config)
        if family.onset is None:
            alarms.append(1000 * sum(map(len, fired)) / reward.size)
            continue
        left = family.num_steps - family.onset
        after = [min((s - family.onset for s in steps if s > family.onset), default=np.inf) for steps in fired]
        mean = float(np.minimum(after, left).mean())
        delays.append((mean, quantile(after, 0.5), quantile(after, 0.9)))
        before = sum(step <= family.onset for steps in fired for step in steps)
        early.append(1000 * before / (len(fired) * family.onset) if family.onset else 0.0)
    return Measured(test, config, alarms, delays, early)


def quantile(values: list[float], q: float) -> float:
    """A quantile that is one of the values; infinite where too many series never fired."""
    return float(np.quantile(values, q, method="higher"))


def check_against_the_trigger(data: list[tuple[Family, Floats, Floats]], config: TriggerConfig) -> int:
    """The class that ships must fire at the same steps as the vectorised copy; returns how many firings agreed."""
    agreed = 0
    for _, reward, entropy in data:
        expected = firings(held_by_ema(reward[:3], entropy[:3], config), config)
        for i in range(3):
            trigger = PlateauTrigger(config)
            rows = enumerate(zip(reward[i].tolist(), entropy[i].tolist(), strict=True), start=1)
            fired = [step for step, (r, h) in rows if trigger.observe(step, r, h)]
            assert fired == expected[i], (fired, expected[i])
            agreed += len(fired)
    return agreed


def main() -> None:
    """Measure, choose, write."""
    parser = argparse.ArgumentParser(description="Measure the plateau trigger as a detector.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "trigger.md")
    arguments = parser.parse_args()
    real, default = Real(), TriggerConfig()
    rng = np.random.default_rng(arguments.seed)
    data = [(family, *real.series(family, rng)) for family in HEALTHY + PLATEAUED]
    agreed = check_against_the_trigger(data, default)
    sweep = [
        measure(test, TESTS[test], replace(default, window=window, max_reward_t=t, patience=patience), data)
        for test, windows, ts in SWEPT
        for window in windows
        for t in ts
        for patience in (3, 10, 15)
    ]
    other = [replace(default, max_entropy_t=t) for t in (0.0, -2.0)] + [replace(default, cooldown=20), PROPOSED]
    beside = [measure("EMA", held_by_ema, config, data) for config in other]
    shipped = next(m for m in sweep if m.test == "EMA" and m.config == default)
    text = "\n".join(report(real, sweep, beside, shipped, agreed)) + "\n"
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text)
    print(text)


def report(real: Real, sweep: list[Measured], beside: list[Measured], shipped: Measured, agreed: int) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# The plateau trigger as a detector\n"
    yield "Written by `measurements/trigger_detector.py`, which says what the series are and how defaults are chosen."
    yield f"{NUM_SERIES} series a family; the shipped class fired at the same {agreed} steps as the copy used here.\n"
    yield f"## Default settings: {settings(shipped.config)}\n"
    yield "| healthy family | steps | false alarms per 1,000 steps |\n|---|---|---|"
    for family, alarms in zip(HEALTHY, shipped.alarms, strict=True):
        yield f"| {family.name} | {family.num_steps} | {alarms:.2f} |"
    yield "\n| plateaued family | steps | delay: mean | median | 90 % | alarms per 1,000 steps before it |"
    yield "|---|---|---|---|---|---|"
    for family, (mean, median, slow), early in zip(PLATEAUED, shipped.delays, shipped.early, strict=True):
        yield f"| {family.name} | {family.num_steps} | {mean:.0f} | {median:.0f} | {slow:.0f} | {early:.2f} |"
    yield "\n## What the rule chooses\n"
    for test in TESTS:
        within = [m for m in sweep if m.test == test and m.is_within_bar]
        best = min(within, key=lambda m: m.slowness)
        yield (
            f"* {test}: {settings(best.config)}: 90 % delay {best.slowness:.1f} steps, mean delay "
            f"{best.mean_delay:.1f}, worst healthy family {max(best.alarms):.2f}"
        )
    yield "\n## Sweep\n"
    yield "Healthy families: false alarms per 1,000 steps. Plateaued families: delay in steps, median / 90 %.\n"
    header = [
        "test",
        "window",
        "max reward t",
        "max entropy t",
        "patience",
        "cool-down",
        f"all <= {MARGIN * BAR:g}",
        "mean delay",
    ]
    header += [family.name for family in HEALTHY + PLATEAUED]
    yield "| " + " | ".join(header) + " |\n|" + "---|" * len(header)
    yield from map(line, sweep + beside)
    yield "\n## On the two real runs themselves (500 steps, no interventions)\n"
    yield "| window | max reward t | patience | fires at, seed 0 | fires at, seed 1 |\n|---|---|---|---|---|"
    for window, t, patience in [*LOOSER, (shipped.config.window, shipped.config.max_reward_t, shipped.config.patience)]:
        config = replace(shipped.config, window=window, max_reward_t=t, patience=patience)
        fired = firings(held_by_ema(real.rewards, real.entropies, config), config)
        cells = [", ".join(map(str, steps)) or "never" for steps in fired]
        yield f"| {window} | {t:g} | {patience} | " + " | ".join(cells) + " |"
    yield "\nNoise around the trend, lag-1 correlation: " + ", ".join(
        f"{np.corrcoef(noise[:-1], noise[1:])[0, 1]:+.2f} ({name}, seed {seed})"
        for name, both in (("reward", real.reward_noise), ("entropy", real.entropy_noise))
        for seed, noise in enumerate(both)
    )
    yield "\n## How long a window a batch needs\n"
    yield "Default thresholds; noise relative to 64 prompts x 8 rollouts a step. Of the windows that keep the"
    yield "first two healthy families under the bar, that of the smallest 90 % delay, averaged over rises that end at"
    yield "step 100, 200 and 300.\n"
    yield "| noise | as a batch of | window | delay: mean | 90 % |\n|---|---|---|---|---|"
    for noise in (0.25, 0.5, 0.71, 1.0, 1.41):
        yield noise_row(real, noise, shipped.config)


def line(measured: Measured) -> str:
    """One row of the sweep."""
    config = measured.config
    head = [measured.test, config.window, config.max_reward_t, config.max_entropy_t, config.patience, config.cooldown]
    cells = [f"{value:.2f}" for value in measured.alarms]
    cells += [f"{median:.0f} / {slow:.0f}" for _, median, slow in measured.delays]
    mark = "yes" if measured.is_within_bar else ""
    return "| " + " | ".join([*map(str, head), mark, f"{measured.slowness:.0f}", *cells]) + " |"


def settings(config: TriggerConfig) -> str:
    """The four that were chosen."""
    return (
        f"window={config.window}, max_reward_t={config.max_reward_t:g}, max_entropy_t={config.max_entropy_t:g}, "
        f"patience={config.patience}"
    )


def noise_row(real: Real, noise: float, default: TriggerConfig) -> str:
    """The window that a noise needs."""
    rng = np.random.default_rng(1)
    families = [replace(f, noise=noise) for f in (*HEALTHY[:2], *PLATEAUED[:3])]
    data = [(family, *real.series(family, rng)) for family in families]
    windows = (20, 30, 40, 50, 60, 75, 90, 105, 120, 140, 160)
    measured = [measure("EMA", held_by_ema, replace(default, window=window), data) for window in windows]
    best = min((m for m in measured if m.is_within_bar), key=lambda m: m.slowness)
    batch = f"{64 / noise**2:.0f} prompts"
    return f"| {noise:g} | {batch} | {best.config.window} | {best.mean_delay:.0f} | {best.slowness:.0f} |"


if __name__ == "__main__":
    main()
