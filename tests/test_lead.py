"""The first sentences of a comparison on made-up tables: ties, one seed, the untrained model ahead, missing runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfuture.lab.report.study_words import lead, shade, standing
from nearfuture.record.formats import rate
from nearfuture.stats.seeds import Estimate


@dataclass(eq=False)
class Method:
    """A method that reached a level."""

    method: str
    level: float
    runs: list[None]
    steps: float = 100

    def cost(self, key: str) -> float:
        assert key == "steps"
        return self.steps

    def mean(self) -> Estimate:
        half = 0.01 if len(self.runs) > 1 else math.nan
        return Estimate(self.level, self.level - half, self.level + half, len(self.runs))


def table(
    levels: dict[str, float], *, untrained: float | None = None, reference: str | None = "npo", seeds: int = 5
) -> Any:
    """A comparison of methods with these levels; the baseline is `grpo` where it is among them."""
    found = {name: Method(name, level, [None] * seeds) for name, level in levels.items()}
    base = None if untrained is None else SimpleNamespace(mean=lambda: untrained)
    return SimpleNamespace(
        summaries=list(found.values()),
        reference=found.get(reference or ""),
        baseline=found.get("grpo"),
        study=SimpleNamespace(base=base),
    )


def test_the_highest_of_all_is_higher_than_the_untrained_model() -> None:
    first, second, third = lead(table({"npo": 0.5, "grpo": 0.4}, untrained=0.1))
    assert first.startswith("npo reaches 0.500, the highest of all (95 % interval [0.490, 0.510], 5 seeds)")
    assert second.startswith("grpo reaches 0.400 (") and third == "The untrained model reaches 0.100."


def test_where_the_untrained_model_is_ahead_nothing_is_the_highest_of_all() -> None:
    said = lead(table({"npo": 0.5, "grpo": 0.4}, untrained=0.6))
    assert "the highest of the trained methods" in said[0] and not any("highest of all" in line for line in said)
    assert said[-1] == "The untrained model reaches 0.600, more than any method."


def test_the_untrained_model_may_be_as_good_as_the_best() -> None:
    assert lead(table({"npo": 0.5, "grpo": 0.4}, untrained=0.5))[-1].endswith("0.500, as much as the best method.")


def test_a_tie_is_called_one() -> None:
    said = lead(table({"npo": 0.5, "grpo": 0.5, "luffy": 0.3}))
    assert "npo reaches 0.500, as high as grpo (" in said[0] and "grpo reaches 0.500 (" in said[1]  # said once
    assert not any("highest" in line for line in said)


def test_what_looks_equal_is_a_tie() -> None:
    assert standing("npo", {"npo": 0.50001, "grpo": 0.49999}, None) == ", as high as grpo"


def test_one_seed_has_no_interval_and_one_method_no_rank() -> None:
    assert lead(table({"npo": 0.5, "grpo": 0.4}, seeds=1))[0].endswith("(no interval, 1 seed).")
    assert lead(table({"npo": 0.5})) == ["npo reaches 0.500 (95 % interval [0.490, 0.510], 5 seeds)."]


def test_a_higher_rate_that_cost_more_steps_says_so() -> None:
    comparison = table({"npo": 0.5, "grpo": 0.4}, untrained=0.1)
    comparison.summaries[0].steps = 100.9
    assert len(lead(comparison)) == 3, "one step in a hundred is no difference"
    comparison.summaries[0].steps = 160
    assert lead(comparison)[-1].startswith("They paid for different numbers of steps: npo 160, grpo 100.")


def test_without_a_reference_the_best_method_leads() -> None:
    said = lead(table({"grpo": 0.4, "luffy": 0.5}, reference="npo"))
    assert said[0].startswith("luffy reaches 0.500, the highest of all") and said[1].startswith("grpo reaches 0.400 (")


def test_a_method_that_could_not_be_judged_is_no_rival() -> None:
    assert standing("npo", {"npo": 0.5, "grpo": math.nan, "luffy": 0.4}, None) == ", the highest of all"
    assert standing("grpo", {"npo": 0.5, "grpo": math.nan}, None) == ""


@given(
    levels=st.dictionaries(st.sampled_from("abcde"), st.floats(0, 1), min_size=1),
    untrained=st.none() | st.floats(0, 1),
)
def test_highest_is_said_of_one_at_most_and_truly(levels: dict[str, float], untrained: float | None) -> None:
    said = {name: standing(name, levels, untrained) for name in levels}
    highest = [name for name, words in said.items() if "highest" in words]
    assert len(highest) <= 1
    for name in highest:
        assert all(float(rate(levels[name])) > float(rate(levels[other])) for other in levels if other != name)
        if "of all" in said[name] and untrained is not None:
            assert float(rate(levels[name])) > float(rate(untrained))


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "interval over seeds"), (2, "range of the two seeds"), (3, "interval over seeds")]
)
def test_a_shade_is_called_what_it_is(seeds: int, words: str) -> None:
    assert shade(table({"npo": 0.5, "grpo": 0.4}, seeds=seeds)).endswith(words)
