"""What advise recommends: the limit cases of a curve, the numbers by hand, and how sure it is."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from nearfuture.lab.measure.advise import advice_text, advise
from nearfuture.lab.measure.recommend import GAINED
from nearfuture.method.trigger import TriggerConfig
from nearfuture.record.logs import Log

SMALL = TriggerConfig(min_pace=20.0, patience=3, cooldown=10)


def log_of(rewards: list[float], entropies: list[float] | None = None, every: int = 1) -> Log:
    steps = list(range(every, every * len(rewards) + 1, every))
    columns = {"step": "step", "reward": "reward", "entropy": None if entropies is None else "entropy"}
    return Log(Path("log"), columns, steps, rewards, entropies or [math.nan] * len(steps), [])


def told(rewards: list[float], entropies: list[float] | None = None, every: int = 1) -> dict[str, object]:
    advice = advise(log_of(rewards, entropies, every), SMALL)
    found: dict[str, object] = advice["recommendation"]
    said = advice_text(advice)
    assert said.index("Recommended: ") < said.index(str(found["why"])) < said.index(str(found["how_sure"]))
    return found


NOISE = [0.01 * math.sin(7.0 * step) for step in range(60)]
FALLING = [math.exp(-step / 50) for step in range(60)]


def test_on_a_rising_curve_it_stays_and_the_slope_limits_the_way_back() -> None:
    found = told([0.1 + 0.01 * step for step in range(60)], FALLING)
    assert found["what"] == "stay" and found["slope"] == pytest.approx(0.01)
    assert found["max_distance"] == int(GAINED / 0.01) == 4


def test_a_flat_curve_that_narrows_speaks_for_going_back() -> None:
    found = told([0.5 + noise for noise in NOISE], FALLING)
    before = int(str(found["before"]))
    assert found["what"] == "back" and before < 40 and f"since about step {before}" in str(found["why"])


def test_one_that_has_narrowed_still_does() -> None:
    entropies = [*FALLING[:40], *[FALLING[40]] * 40]
    found = told([0.5 + noise for noise in [*NOISE, *NOISE[:20]]], entropies)
    assert found["what"] == "back" and "the trigger fired at step" in str(found["why"])


def test_one_that_does_not_move_and_one_that_is_solved_are_left() -> None:
    assert told([0.5 + noise for noise in NOISE], [0.5 + noise for noise in NOISE])["what"] == "leave"
    solved = told([0.98 + 0.1 * noise for noise in NOISE], FALLING)
    assert solved["what"] == "leave" and "little is left to gain" in str(solved["why"])


def test_without_an_entropy_nobody_knows_whether_it_narrows() -> None:
    assert told([0.5 + noise for noise in NOISE])["what"] == "stay"


def noisy(level: float, num: int, seed: int = 0, spread: float = 0.03) -> list[float]:
    return list(np.clip(np.random.default_rng(seed).normal(level, spread, num), 0, 1))


@pytest.mark.parametrize("every", [1, 10, 20])
@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_collapsed_is_looked_at_whenever_that_was(seed: int, every: int) -> None:
    entropies = noisy(0.5, 300, seed)
    early = told([*noisy(0.5, 90, seed), *noisy(0.05, 210, seed + 50)], entropies, every)
    late = told([*noisy(0.6, 200, seed), *noisy(0.02, 100, seed + 50)], entropies, every)
    for found, step in ((early, 90), (late, 200)):
        assert found["what"] == "inspect" and "It fell after step" in str(found["why"])
        after = int(str(found["why"]).partition("after step ")[2].partition(":")[0])
        assert abs(after - step * every) <= 20 * every


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_run_has_not_collapsed(seed: int) -> None:
    rising = [0.1 + 0.12 * math.log1p(step / 10) + noise for step, noise in enumerate(noisy(0.03, 300, seed))]
    for rewards in (noisy(0.5, 300, seed), noisy(0.05, 300, seed), rising, noisy(0.3, 40, seed, 0.1)):
        assert "It fell after" not in str(told(rewards, noisy(0.5, len(rewards), seed))["why"])


@pytest.mark.parametrize("rewards", [[0.0] * 300, noisy(0.01, 300, spread=0.005), [0.0] * 30])
def test_a_run_that_never_solves_anything_is_looked_at(rewards: list[float]) -> None:
    found = told(rewards, noisy(0.5, len(rewards)))
    assert found["what"] == "inspect" and "Hardly anything is solved" in str(found["why"])


@pytest.mark.parametrize("num", [30, 60, 300])
def test_a_run_whose_last_rows_are_solved_is_left(num: int) -> None:
    rewards = [min(1.0, 2 * step / num) for step in range(num)]
    assert told(rewards, noisy(0.5, num))["what"] == "leave"
    percent = told([100 * reward for reward in rewards], noisy(0.5, num))
    if num >= 60:  # twenty rows that are all alike
        assert percent["what"] == "inspect" and "exactly 100" in str(percent["why"])


def test_a_run_whose_reward_was_lost_is_looked_at() -> None:
    found = told([*noisy(0.5, 200), *[math.nan] * 100], noisy(0.5, 300))
    assert found["what"] == "inspect" and "no number since step 200 (100 rows)" in str(found["why"])


@pytest.mark.parametrize("seed", range(6))
def test_a_way_back_is_told_where_the_slope_is_more_than_noise(seed: int) -> None:
    flat = told(noisy(0.5, 30, seed), noisy(0.5, 30, seed + 9))
    assert flat["max_distance"] is None or int(str(flat["max_distance"])) <= 100
    steep = told([0.1 + 0.002 * step + noise for step, noise in enumerate(noisy(0.03, 300, seed, 0.01))], FALLING * 5)
    assert steep["max_distance"] == pytest.approx(0.045 / 0.002, rel=0.35)


def test_a_negative_entropy_is_something_else() -> None:
    found = told(noisy(0.5, 300), [-entropy for entropy in noisy(0.5, 300)])
    assert found["what"] == "stay" and "--entropy" in str(found["why"])


def test_a_plateau_whose_entropy_stands_still_as_well_is_left_even_if_the_trigger_fired_before_it() -> None:
    entropies = [math.exp(-min(step, 100) / 50) for step in range(600)]
    rewards = [0.3, *[0.3 + 0.01 * math.sin(7.0 * step) for step in range(200)], *[0.6] * 0]
    rewards += [0.3 + 0.002 * step for step in range(100)] + [0.5 + 0.01 * math.sin(5.0 * step) for step in range(299)]
    advice = advise(log_of(rewards, entropies), SMALL)
    assert advice["fired"] and advice["fired"][-1]["step"] < 400
    assert advice["recommendation"]["what"] == "leave"


def test_a_run_that_keeps_what_it_solves_is_not_told_to(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("method: self_imitation\nsource: own\n")
    log = log_of([0.5 + noise for noise in NOISE], FALLING)
    said = advice_text(advise(dataclasses.replace(log, path=tmp_path), SMALL))
    assert "Recommended: Go back to a checkpoint" in said and "self_imitation" not in said.partition("On one small")[0]
    rising = log_of([0.1 + 0.01 * step for step in range(60)], FALLING)
    assert "it keeps what it solves already" in advice_text(advise(dataclasses.replace(rising, path=tmp_path), SMALL))


def test_many_firings_are_grouped() -> None:
    rewards, entropies = noisy(0.5, 2000), [math.exp(-step / 300) for step in range(2000)]
    advice = advise(log_of(rewards, entropies), SMALL)
    assert len(advice["fired"]) > 5 and len(advice_text(advice).splitlines()) < 45
    assert f"and {len(advice['fired']) - 5} more firings" in advice_text(advice)


def test_a_reward_that_is_no_pass_rate_has_no_price() -> None:
    found = told([3.0 + 0.1 * step for step in range(60)], FALLING)
    assert found["what"] == "stay" and found["max_distance"] is None and "not a pass rate" in str(found["why"])


def test_a_log_that_is_too_short_says_so() -> None:
    assert told([0.1] * 5, [1.0] * 5)["what"] == "wait"


@pytest.mark.parametrize("every", [1, 10, 15, 20, 50, 200])
def test_rows_that_lie_far_apart_are_enough(every: int) -> None:
    rewards, entropies = [0.5 + noise for noise in NOISE], FALLING
    found = told(rewards, entropies, every)
    assert found["what"] == "back"


def test_a_reward_that_falls_is_looked_at_first() -> None:
    found = told([0.6 - 0.005 * step + noise for step, noise in enumerate(NOISE)], FALLING)
    assert found["what"] == "inspect" and "falls, lately by 0.005 per step" in str(found["why"])


def test_what_does_not_rise_is_not_said_to_rise() -> None:
    rewards = [0.1 + 0.01 * step for step in range(55)] + [0.64 - 0.0001 * step for step in range(8)]
    found = told(rewards, [0.5] * len(rewards))
    rises, why = float(str(found["slope"])) > 0, str(found["why"])
    assert ("rises" in why) == rises and "not a pass rate" not in why
