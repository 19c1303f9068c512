"""What advise recommends: the limit cases of a curve, the numbers by hand, and how sure it is."""

from __future__ import annotations

import math
from pathlib import Path

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
    assert str(found["why"]) in advice_text(advice) and str(found["how_sure"]) in advice_text(advice).splitlines()[-1]
    return found


NOISE = [0.01 * math.sin(7.0 * step) for step in range(60)]
FALLING = [math.exp(-step / 50) for step in range(60)]


def test_on_a_rising_curve_it_stays_and_the_slope_limits_the_way_back() -> None:
    found = told([0.1 + 0.01 * step for step in range(60)], FALLING)
    assert found["what"] == "stay" and found["slope"] == pytest.approx(0.01)
    assert found["max_distance"] == int(GAINED / 0.01) == 4


def test_a_flat_curve_that_narrows_speaks_for_going_back() -> None:
    found = told([0.5 + noise for noise in NOISE], FALLING)
    assert found["what"] == "back" and "between step 0 and step 50" in str(found["why"])


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
