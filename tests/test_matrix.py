"""The matrix: its table names every key, its cases hold every pair, and a slice of it runs here.

`make test-matrix` runs all cases; here only the few in which every option occurs once, most of them when
`make test-long` asks for it.
"""

from __future__ import annotations

import dataclasses
import re
from itertools import combinations, product
from pathlib import Path

import matrix_worlds
import pytest
from commands import invoke
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrix_cases import DEFAULTS, Case, pairs, refusals, singles, slice_of_each
from matrix_draw import draw, is_met
from matrix_drive import drive, write
from matrix_excluded import EXCLUDED
from matrix_refusals import REFUSALS
from matrix_table import ALWAYS, FACTORS

from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.options.data import DataConfig
from nearfuture.run.settings.config import AUTO, AutoNPOConfig, RunConfig
from nearfuture.run.settings.keys import MANAGED, WITHOUT_EFFECT
from nearfuture.train.npo_config import ModelConfig, NPOConfig

DOCS = Path(__file__).parent.parent / "docs"
SET = {*ALWAYS, *(key for options in FACTORS.values() for told in options.values() for key in told)}
LEFT_OUT = {key for keys in EXCLUDED.values() for key in keys}


def known() -> set[str]:
    """Every key a configuration may hold."""
    flat = {f.name for kind in (RunConfig, DataConfig, NPOConfig, ModelConfig) for f in dataclasses.fields(kind)}
    auto = {f.name for kind in (AutoNPOConfig, TriggerConfig) for f in dataclasses.fields(kind)} - {"trigger"}
    refused = {*MANAGED, *(key for keys in WITHOUT_EFFECT.values() for key in keys)}
    return flat - refused | {AUTO + name for name in auto}


def test_the_table_names_every_key_or_says_why_not() -> None:
    assert known() == SET | LEFT_OUT
    assert not SET & LEFT_OUT
    assert all(len(reason) > 10 for reason in EXCLUDED)


def test_every_key_of_the_documentation_is_one_of_them() -> None:
    """A documented key is known; what is known is in the table or left out with its reason (the test above)."""
    documented = set()
    tables = (DOCS / "configuration.md").read_text().partition("## What cannot be combined")[0]
    for line in tables.splitlines():
        if line.startswith("| `"):
            documented |= set(re.findall(r"`([a-z_0-9]+)`", line.split("|")[1]))
    assert len(documented) > 70
    assert documented <= known() | {key.removeprefix(AUTO) for key in known()}


def test_every_factor_has_a_choice_and_no_option_says_the_same_twice() -> None:
    for factor, options in FACTORS.items():
        assert len(options) >= 2, factor
        told = list(map(repr, options.values()))
        assert len(set(told)) == len(told), factor
    for refusal in REFUSALS:
        for factor, chosen in refusal.of.items():
            assert set(chosen) <= set(FACTORS[factor]), (factor, chosen)


def test_the_defaults_train() -> None:
    assert not any(is_met(refusal.of, DEFAULTS) for refusal in REFUSALS)


def test_every_pair_of_options_meets_or_is_refused() -> None:
    """A pair that occurs in no case is refused, alone or with every choice of what it needs."""
    cases = pairs()
    met = {pair for case in cases for pair in combinations(case.options.items(), 2)}
    assert not any(is_met(refusal.of, case.options) for refusal in REFUSALS for case in cases)
    for (one, of_one), (other, of_other) in combinations(FACTORS.items(), 2):
        for a, b in product(of_one, of_other):
            if ((one, a), (other, b)) not in met:
                assert is_forbidden({one: a, other: b}), f"{one}={a} and {other}={b} never meet"


def is_forbidden(fixed: dict[str, str]) -> bool:
    """True where a refusal speaks of these options alone, or no world admits them."""
    worlds = [{**fixed, "world": world} for world in FACTORS["world"] if fixed.get("world", world) == world]
    return all(any(is_met(refusal.of, row) for refusal in REFUSALS) for row in worlds)


RULES = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.sets(st.sampled_from("012"), min_size=1, max_size=2), min_size=1),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RULES, st.sampled_from([1, 2]))
def test_a_drawn_array_holds_all_that_some_row_can_hold(rules: list[dict[str, set[str]]], strength: int) -> None:
    factors = {"a": "012", "b": "01", "c": "012", "d": "01"}
    rows = [dict(zip(factors, options, strict=True)) for options in product(*factors.values())]
    admitted = [row for row in rows if not any(is_met(rule, row) for rule in rules)]
    drawn = draw(factors, rules, strength)
    assert all(row in admitted for row in drawn)
    held = {items for row in drawn for items in combinations(row.items(), strength)}
    assert held == {items for row in admitted for items in combinations(row.items(), strength)}


def test_a_case_that_is_run_alone_has_one_option_that_is_no_default() -> None:
    assert {len(case.told) for case in singles()} == {0, 1}
    assert all(case.refusals for case in refusals())


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return matrix_worlds.prepare(tmp_path_factory.mktemp("worlds"))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if i < 2 else pytest.mark.long) for i, case in enumerate(slice_of_each())],
    ids=lambda case: case.name,
)
def test_it_trains_is_killed_and_resumed_and_read(case: Case, places: dict[str, str], tmp_path: Path) -> None:
    result = drive(case, tmp_path / "case", places)
    assert result.outcome == "ended", f"{case.told}\n{result.why}\n{result.output}"


FIRST_OF_EACH = {case.refusals[0].says + repr(case.refusals[0].of): case for case in reversed(refusals())}


@pytest.mark.parametrize("case", FIRST_OF_EACH.values(), ids=lambda case: case.name)
def test_what_cannot_be_combined_is_refused_in_words(case: Case, places: dict[str, str], tmp_path: Path) -> None:
    config = write(case, tmp_path, places)
    code, output = invoke("train", config)
    assert any(code == refusal.exit_code and refusal.says in output for refusal in case.refusals), output
