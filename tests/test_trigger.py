"""Laws of the plateau trigger: when it may fire, when it must; nothing depends on scale, kills or rollbacks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.method.trends import fit_line, measure_rise
from nearfuture.method.trigger import PlateauTrigger, State, TriggerConfig
from nearfuture.types import UserError

SMALL = TriggerConfig(window=12, patience=3, warmup=0, cooldown=10)


def fired(rewards: Sequence[float], entropies: Sequence[float], config: TriggerConfig = SMALL) -> list[int]:
    trigger = PlateauTrigger(config)
    rows = enumerate(zip(rewards, entropies, strict=True), start=1)
    return [step for step, (reward, entropy) in rows if trigger.observe(step, reward, entropy)]


def falling(num: int) -> list[float]:
    return [math.exp(-step / 50) for step in range(num)]


def noisy(seed: int, num: int = 60) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    rewards = 0.4 + 0.05 * rng.standard_normal(num)
    return rewards.tolist(), (np.array(falling(num)) + 0.01 * rng.standard_normal(num)).tolist()


def test_flat_reward_with_falling_entropy_fires_when_window_and_patience_are_full() -> None:
    assert fired([0.4] * 15, falling(15)) == [15]
    assert fired([0.4] * 14, falling(14)) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_rise_that_ends_fires_after_it_and_not_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rewards = np.minimum(np.arange(400), 200) * 0.002 + 0.05 * rng.standard_normal(400)
    steps = fired(rewards.tolist(), falling(400), TriggerConfig())
    assert steps and 200 < steps[0] <= 400


def test_both_signs_are_needed() -> None:
    assert fired([0.4] * 60, [0.5] * 60) == []
    assert fired([0.4] * 60, falling(60)[::-1]) == []
    assert fired([0.01 * step for step in range(60)], falling(60)) == []
    nearly_flat = [0.5 - 1e-4 * step for step in range(60)]
    assert fired([0.4] * 60, nearly_flat) == [], "0.1 % over the window is no decline"


@given(st.integers(0, 40), st.integers(0, 40))
def test_never_before_warmup_nor_before_the_window_is_full(warmup: int, seed: int) -> None:
    config = TriggerConfig(window=12, patience=1, warmup=warmup, cooldown=0)
    assert all(step > max(warmup - 1, 12) for step in fired(*noisy(seed), config))


@given(st.lists(st.floats(0, 1), min_size=40, max_size=60), st.sampled_from([0.0, 0.75, 1.5]))
def test_a_reward_that_never_falls_fires_only_where_it_never_rose(rises: list[float], max_reward_t: float) -> None:
    rewards = np.cumsum(np.where(np.array(rises) > 0.7, rises, 0.0)).tolist()
    config = TriggerConfig(window=12, patience=1, warmup=0, cooldown=0, max_reward_t=max_reward_t)
    for step in fired(rewards, falling(len(rewards)), config):
        assert rewards[step - 1] == rewards[0]


def test_the_standard_error_of_a_rise_is_what_repetition_shows() -> None:
    rng = np.random.default_rng(0)
    rises, errors = [], []
    for _ in range(400):
        values = rng.standard_normal(160).tolist()
        emas = [values[0]]
        for value in values[1:]:
            emas.append(emas[-1] + 0.1 * (value - emas[-1]))
        rise = measure_rise(range(60, 160), values[60:], (emas[60], emas[-1]), 0.1)
        rises.append(rise.rise)
        errors.append(rise.rise_se)
    assert np.std(rises) == pytest.approx(np.mean(errors), rel=0.1)


def test_a_line_by_hand() -> None:
    line = fit_line([0, 1, 2], [0.0, 2.0, 1.0])
    assert (line.mean, line.slope) == (1.0, 0.5)
    assert line.slope_se == pytest.approx(math.sqrt(1.5 / 1 / 2))


@given(st.integers(0, 200), st.integers(-20, 20), st.booleans())
def test_the_scale_of_the_reward_does_not_matter(seed: int, exponent: int, is_shifted: bool) -> None:
    rewards, entropies = noisy(seed)
    other = [2.0**exponent * reward for reward in rewards]
    if is_shifted:
        other = [reward - 0.5 for reward in rewards]
    assert fired(other, entropies) == fired(rewards, entropies)


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
    assert fired([0.4] * 40, falling(40)) == [15, 25, 35]
    trigger = PlateauTrigger(SMALL)
    states = []
    for step in range(1, 28):
        trigger.observe(step, 0.4, math.exp(-step / 50))
        states.append(trigger.state)
    assert states[11:15] == [State.WARMING, State.ARMED, State.ARMED, State.FIRED]
    assert states[15:24] == [State.COOLING] * 9 and states[24] is State.FIRED


@pytest.mark.parametrize("step", [4, 8, 15])
def test_after_a_rollback_it_waits_for_the_step_it_fired_at_and_for_the_cooldown(step: int) -> None:
    trigger = PlateauTrigger(SMALL)
    entropies = falling(99)
    assert [s for s in range(1, 16) if trigger.observe(s, 0.4, entropies[s])] == [15]
    trigger.rewind(step)
    assert trigger.state is State.COOLING
    again = next(s for s in range(step + 1, 99) if trigger.observe(s, 0.4, entropies[s]))
    assert again == max(step + 10, 16)


def test_what_was_seen_before_the_rollback_still_counts_and_later_rows_do_not() -> None:
    rewards, entropies = noisy(0)
    straight, rewound = PlateauTrigger(SMALL), PlateauTrigger(SMALL)
    for step in range(1, 31):
        if step <= 20:
            straight.observe(step, rewards[step], entropies[step])
        rewound.observe(step, rewards[step], entropies[step])
    rewound.rewind(20)
    assert rewound.state_dict()["seen"][-13:] == straight.state_dict()["seen"][-13:]
    assert rewound.evidence == straight.evidence


def test_a_log_written_every_tenth_step_is_read_on_the_same_clock() -> None:
    trigger = PlateauTrigger(TriggerConfig(patience=3))
    steps = [step for step in range(10, 400, 10) if trigger.observe(step, 0.4, math.exp(-step / 200))]
    assert steps[0] == 100, "window full at 90, held since: patience of 3 steps is the next row"


def test_its_explanation_holds_json_values_only() -> None:
    trigger = PlateauTrigger(SMALL)
    assert json.loads(json.dumps(trigger.explain()))["state"] == "warming"
    for step in range(1, 20):
        trigger.observe(step, 0.4, math.exp(-step / 50))
    explained = json.loads(json.dumps(trigger.explain(), allow_nan=False))
    assert explained["evidence"]["reward"]["rise"] == 0.0 and explained["settings"]["window"] == 12


@pytest.mark.parametrize("setting", [{"window": 2}, {"patience": 0}, {"max_entropy_t": 1.0}, {"ema_weight": 0.0}])
def test_settings_that_cannot_work_are_refused(setting: dict[str, float]) -> None:
    (name,) = setting
    with pytest.raises(UserError, match=f"{name}=.* must be"):
        TriggerConfig(**setting)  # type: ignore[arg-type]
