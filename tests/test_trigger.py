"""Laws of the plateau trigger: when it may fire, when it must; nothing depends on scale, kills or rollbacks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfuture.method.trends import Curve, Pace, fit_line
from nearfuture.method.trigger import PlateauTrigger, State, TriggerConfig
from nearfuture.types import UserError

few = settings(max_examples=20, deadline=None)
SMALL = TriggerConfig(warmup=0, cooldown=10, min_pace=20.0)
PACE = TriggerConfig().pace


def fired(rewards: Sequence[float], entropies: Sequence[float], config: TriggerConfig = SMALL) -> list[int]:
    trigger = PlateauTrigger(config)
    rows = enumerate(zip(rewards, entropies, strict=True), start=1)
    return [step for step, (reward, entropy) in rows if trigger.observe(step, reward, entropy)]


def falling(num: int) -> list[float]:
    return [math.exp(-step / 50) for step in range(num)]


def rising(num: int, until: int | None = None) -> list[float]:
    """A straight rise on the trigger's clock, which ends at a step."""
    return [0.3 * math.log(min(step, until or step) + 20) for step in range(1, num + 1)]


def noisy(seed: int, num: int = 60) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    rewards = 0.4 + 0.05 * rng.standard_normal(num)
    return rewards.tolist(), (np.array(falling(num)) + 0.01 * rng.standard_normal(num)).tolist()


def by_hand(values: Sequence[float], pace: Pace) -> float:
    """The evidence in plain numpy: every stop that leaves six rows on either side, and the window's own beginning."""
    y, steps = np.array(values), np.arange(1, len(values) + 1)
    low = int((1 - pace.look_back) * len(values))
    x, y = np.log(steps + 20.0)[low:], y[low:]
    sigma = math.sqrt(np.mean(np.diff(values)[-99:] ** 2) / 2)

    def residual(z: np.ndarray) -> float:
        spread = z - z.mean()
        total = (spread**2).sum()
        slope = max((spread * y).sum() / total if total > 1e-9 else 0.0, pace.min_pace * sigma)
        return float(((y - y.mean() - slope * spread) ** 2).sum())

    length, lengths = float(pace.min_stretch), []
    while length <= len(x) - 6:
        lengths.append(int(length))
        length = math.ceil(length * 1.2)
    found = []
    for flat in lengths:
        at = x[len(x) - flat - 1]
        bent = [np.minimum(x, at) + share * np.maximum(x - at, 0) for share in (pace.slowdown, 0.0)]
        found.append(residual(bent[0]) - residual(bent[1]))
    at = math.log(low + 20.0)
    found.append(residual(at + pace.slowdown * (x - at)) - float(((y - y.mean()) ** 2).sum()))
    return max(found) / (2 * sigma**2)


@pytest.mark.parametrize("seed", range(4))
def test_the_evidence_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (np.array(rising(90, until=60)) + 0.05 * rng.standard_normal(90)).tolist()
    curve = Curve()
    for step, value in enumerate(values, start=1):
        curve.append(step, value)
        found = curve.halt(PACE)
        assert (found is None) == (step < 16)
        if found is not None:
            assert found.evidence == pytest.approx(by_hand(values[:step], PACE), rel=1e-6, abs=1e-6)


def test_a_constant_reward_with_a_falling_entropy_fires_as_soon_as_rows_are_there() -> None:
    assert fired([0.4] * 40, falling(40))[0] == 16


@pytest.mark.parametrize("seed", range(8))
def test_a_rise_that_ends_fires_after_it_and_a_rise_that_goes_on_never(seed: int) -> None:
    noise = 0.05 * np.random.default_rng(seed).standard_normal(400)
    ends, goes_on = (np.array(rising(400, until)) + noise for until in (200, None))
    steps = fired(ends.tolist(), falling(400), TriggerConfig())
    assert steps and 200 < steps[0] <= 290
    assert fired(goes_on.tolist(), falling(400), TriggerConfig(min_evidence=6.0)) == []


def test_both_signs_are_needed() -> None:
    assert fired([0.4] * 60, [0.5] * 60) == []
    assert fired([0.4] * 60, falling(60)[::-1]) == []
    assert fired(rising(60), falling(60)) == []
    nearly_flat = [0.5 - 1e-5 * step for step in range(60)]
    assert fired([0.4] * 60, nearly_flat) == [], "0.1 % in the whole stretch is no decline"


@few
@given(st.integers(0, 40), st.integers(0, 40))
def test_never_before_warmup_nor_before_there_are_rows_enough(warmup: int, seed: int) -> None:
    config = TriggerConfig(warmup=warmup, cooldown=0, min_evidence=-1e9, max_entropy_evidence=1e9)
    assert all(step >= max(warmup, 16) for step in fired(*noisy(seed), config))


def test_a_line_by_hand() -> None:
    line = fit_line([0, 1, 2], [0.0, 2.0, 1.0])
    assert (line.mean, line.slope) == (1.0, 0.5)
    assert line.slope_se == pytest.approx(math.sqrt(1.5 / 1 / 2))


@few
@given(st.integers(0, 200), st.integers(-20, 20), st.booleans())
def test_the_scale_of_the_reward_does_not_matter(seed: int, exponent: int, is_shifted: bool) -> None:
    rewards, entropies = noisy(seed)
    other = [2.0**exponent * reward for reward in rewards]
    if is_shifted:
        other = [reward - 0.5 for reward in rewards]
    assert fired(other, entropies) == fired(rewards, entropies)


@few
@given(st.integers(0, 200), st.integers(0, 60))
def test_resume_equals_going_on(seed: int, cut: int) -> None:
    rewards, entropies = noisy(seed)
    rows = list(enumerate(zip(rewards, entropies, strict=True), start=1))
    trigger, resumed = PlateauTrigger(SMALL), PlateauTrigger(SMALL)
    for step, (reward, entropy) in rows[:cut]:
        trigger.observe(step, reward, entropy)
    resumed.load_state_dict(json.loads(json.dumps(trigger.state_dict())))
    assert resumed.metrics() == trigger.metrics() and resumed.explain() == trigger.explain()
    for step, (reward, entropy) in rows[cut:]:
        assert resumed.observe(step, reward, entropy) == trigger.observe(step, reward, entropy)
        assert resumed.metrics() == trigger.metrics()
    assert resumed.state_dict() == trigger.state_dict()


@few
@given(st.integers(0, 200), st.sets(st.integers(1, 60), max_size=10), st.sampled_from([math.nan, math.inf]))
def test_rows_that_are_not_finite_are_ignored_and_counted(seed: int, holes: set[int], value: float) -> None:
    rewards, entropies = noisy(seed)
    with_holes, without = PlateauTrigger(SMALL), PlateauTrigger(SMALL)
    for step, (reward, entropy) in enumerate(zip(rewards, entropies, strict=True), start=1):
        if step in holes:
            hole = (value, entropy) if step % 2 else (reward, value)
            assert with_holes.observe(step, *hole) is False
        else:
            assert with_holes.observe(step, reward, entropy) == without.observe(step, reward, entropy)
    assert with_holes.metrics().pop("autonpo/num_ignored") == len(holes)
    ends_after_firing = without.state is State.FIRED and len(rewards) in holes  # what fired is over one step later
    expected = without.state_dict() | ({"state": "cooling"} if ends_after_firing else {})
    assert {**with_holes.state_dict(), "num_ignored": 0} == expected


def test_it_cools_down_and_fires_again_while_the_plateau_lasts() -> None:
    patient = TriggerConfig(warmup=0, cooldown=10, patience=3, min_pace=20.0)
    assert fired([0.4] * 40, falling(40), patient) == [18, 28, 38]
    trigger = PlateauTrigger(patient)
    states = []
    for step in range(1, 30):
        trigger.observe(step, 0.4, math.exp(-step / 50))
        states.append(trigger.state)
    assert states[14:18] == [State.WARMING, State.ARMED, State.ARMED, State.FIRED]
    assert states[18:27] == [State.COOLING] * 9 and states[27] is State.FIRED


@pytest.mark.parametrize("step", [4, 8, 15])
def test_after_a_rollback_it_waits_for_the_step_it_fired_at_and_for_the_cooldown(step: int) -> None:
    trigger = PlateauTrigger(SMALL)
    entropies = falling(99)
    assert [s for s in range(1, 17) if trigger.observe(s, 0.4, entropies[s])] == [16]
    trigger.rewind(step)
    assert trigger.state is State.COOLING
    again = next(s for s in range(step + 1, 99) if trigger.observe(s, 0.4, entropies[s]))
    assert again == max(step + 10, 17)


def test_what_was_seen_before_the_rollback_still_counts_and_later_rows_do_not() -> None:
    rewards, entropies = noisy(0)
    straight, rewound = PlateauTrigger(SMALL), PlateauTrigger(SMALL)
    for step in range(1, 31):
        if step <= 20:
            straight.observe(step, rewards[step], entropies[step])
        rewound.observe(step, rewards[step], entropies[step])
    rewound.rewind(20)
    assert rewound.state_dict()["seen"] == straight.state_dict()["seen"]
    assert rewound.evidence == straight.evidence


def test_a_log_written_every_tenth_step_is_read_on_the_same_clock() -> None:
    """A tenth of the rows of a curve without noise: the same place, within a row."""
    rewards = rising(600, until=300)
    found = {}
    for every in (1, 10):
        curve = Curve()
        for step in range(every, 601, every):
            curve.append(step, rewards[step - 1] + 1e-3 * (-1) ** (step // every))
        halt = curve.halt(PACE)
        assert halt is not None and halt.evidence > 3
        found[every] = halt.after
    assert found[1] == pytest.approx(300, abs=40) and found[10] == pytest.approx(found[1], abs=40)


def test_a_state_of_the_release_before_is_continued() -> None:
    """It remembered two windows: what was seen earlier is gone, what was seen is judged as it is now."""
    rewards, entropies = noisy(0)
    whole, cut = PlateauTrigger(SMALL), PlateauTrigger(SMALL)
    for step in range(1, 51):
        whole.observe(step, rewards[step], entropies[step])
    state = whole.state_dict()
    cut.load_state_dict({**state, "seen": state["seen"][-30:]})
    assert cut.evidence is not None and cut.metrics()["autonpo/reward_ema"] == whole.metrics()["autonpo/reward_ema"]
    cut.observe(51, rewards[51], entropies[51])


def test_its_explanation_holds_json_values_only() -> None:
    trigger = PlateauTrigger(SMALL)
    assert json.loads(json.dumps(trigger.explain()))["state"] == "warming"
    for step in range(1, 20):
        trigger.observe(step, 0.4, math.exp(-step / 50))
    explained = json.loads(json.dumps(trigger.explain(), allow_nan=False))
    assert explained["evidence"]["reward"]["slope"] == 0.0 and explained["settings"]["min_evidence"] == 3.1
    assert explained["evidence"]["since"] < 19


@pytest.mark.parametrize("setting", [{"min_stretch": 2}, {"patience": 0}, {"look_back": 0.0}, {"min_pace": 0.0}])
def test_settings_that_cannot_work_are_refused(setting: dict[str, float]) -> None:
    (name,) = setting
    with pytest.raises(UserError, match=f"{name}=.* must be"):
        TriggerConfig(**setting)  # type: ignore[arg-type]
