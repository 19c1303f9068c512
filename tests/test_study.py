"""A comparison on synthetic folders: its configuration, its numbers by hand, what it says and what it leaves open."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import CONFIGS, invoke
from pages import Page
from study_folders import write_study

from nearfuture.lab.page.charts import Look, Series, limits
from nearfuture.lab.report import report_text, write_report
from nearfuture.lab.report.study_page import full_text
from nearfuture.lab.study.claims import Claim
from nearfuture.lab.study.comparison import compare, read_together
from nearfuture.lab.study.export import as_json, settings_hash
from nearfuture.lab.study.folder import Grid, StudyFolder
from nearfuture.lab.study.study_config import cells, check_runs, load_study
from nearfuture.record.held_out import HeldOutCurve, area_difference, difference_at_equal, speed_up
from nearfuture.record.records import RunRecords
from nearfuture.stats.seeds import Estimate
from nearfuture.types import UserError

SMOKE = CONFIGS / "compare_smoke.yaml"
TWO = {"grpo": {}, "npo": {"scout_steps": 3}}


# --- the configuration


@pytest.mark.parametrize("name", ["compare_smoke", "compare"])
def test_the_shipped_grids_are_ones_that_train_would_accept(name: str) -> None:
    study = load_study(CONFIGS / f"{name}.yaml")
    configurations = check_runs(study)
    assert set(configurations) == {"base", *study.methods}
    assert study.reference in study.methods


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "npo_erly"], "Did you mean npo_early?"),
        (["learning_rat=1"], "base: learning_rat is not a known key. Did you mean learning_rate?"),
        (["methods={autonpo: {scout_step: 4}}"], "autonpo: scout_step is not a known key. Did you mean scout_steps?"),
        (["methods={autonpo: {scout_steps: 41}}"], "autonpo: scout_steps=41 lies outside"),
        (["methods={autonpo: {seed: 4}}"], "autonpo sets seed, which the grid sets for every run"),
        (["base={task: apprentice, max_steps: 4, run_dir: x}"], "base sets run_dir"),
        (["methods={base: {}, autonpo: {}}"], "'base' is the untrained model"),
        (["methods={a/b: {}, autonpo: {}}"], "method 'a/b' names folders"),
        (["reference=autonpoo"], "Did you mean autonpo?"),
        (["pass_at=[1, 16]"], "pass_at=[1, 16] must lie between 1 and test_num_samples=8"),
        (["num_seeds=0"], "num_seeds=0 must be at least 1"),
        (["num_seeds=many"], "num_seeds: "),
        (["methods={}"], "methods is missing"),
        (["steps"], "Write key=value"),
    ],
)
def test_a_bad_grid_is_refused_before_anything_runs(arguments: list[str], message: str, tmp_path: Path) -> None:
    code, output = invoke("compare", SMOKE, f"run_dir={tmp_path / 'grid'}", *arguments)
    assert code == 2
    assert message in " ".join(output.split())
    assert not (tmp_path / "grid").exists()


def test_an_unknown_key_of_a_study_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("bas: {task: apprentice}\nmethods: {grpo: {}}\nrun_dir: x\n")
    with pytest.raises(UserError, match=r"Did you mean base\?"):
        load_study(path)


def test_overrides_go_where_their_key_belongs() -> None:
    study = load_study(
        SMOKE, ["max_steps=44", "first_seed=7", "run_dir=there"], methods=["autonpo", "grpo"], num_seeds=3
    )
    assert list(study.methods) == ["autonpo", "grpo"] and study.seeds == [7, 8, 9]
    grid = cells(study)
    assert [cell.name for cell in grid[:3]] == ["autonpo-7", "grpo-7", "autonpo-8"]  # seed by seed
    assert grid[1].settings["max_steps"] == 44
    assert (grid[1].settings["run_dir"], grid[1].settings["seed"]) == ("there/grpo-7", 7)


def a_grid(**changes: Any) -> Grid:
    plain: dict[str, Any] = {"base": {"max_steps": 4}, "methods": {"grpo": {}}, "cells": (("grpo", 1),)}
    return Grid(**{**plain, "test_num_samples": 4, "pass_at": (1,), "reference": "grpo", **changes})


def test_a_grid_grows_and_does_not_change_under_runs_that_were_begun(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    folder.write_grid(a_grid())
    folder.run("grpo-1").mkdir()
    more = folder.write_grid(a_grid(methods={"npo": {"scout_steps": 2}}, cells=(("npo", 1), ("npo", 2))))
    assert folder.read_grid() == more
    assert list(more.methods) == ["grpo", "npo"] and more.seeds("npo") == [1, 2] and more.seeds("grpo") == [1]
    with pytest.raises(UserError, match=r"base\.max_steps: 4 -> 5"):
        folder.write_grid(a_grid(base={"max_steps": 5}))
    with pytest.raises(UserError, match=r"grpo\.scout_steps: None -> 1"):
        folder.write_grid(a_grid(methods={"grpo": {"scout_steps": 1}}))
    other = folder.write_grid(a_grid(methods={"npo": {"scout_steps": 3}}, cells=(("npo", 1),)))  # npo was not begun
    assert other.methods["npo"] == {"scout_steps": 3}


# --- curves and equal cost


def curve_of(folder: Path, method: str, **more: Any) -> HeldOutCurve:
    write_study(folder, TWO, [1], lambda *_: 4, **more)
    return HeldOutCurve(RunRecords.load(folder / f"{method}-1"))


def test_what_a_run_holds_while_it_trains_ahead_stands_still(tmp_path: Path) -> None:
    # A scout of 3 steps, then 12 kept ones: the base weights until 3 steps are paid, then step x - 3.
    npo = curve_of(tmp_path / "study", "npo")
    at = npo.at("total_steps", np.array([0.0, 3.0, 4.0, 9.0, 15.0, 15.5]))
    assert at == pytest.approx([0.2, 0.2, 0.24, 0.44, 0.68, np.nan], nan_ok=True)
    # 100 tokens a step and 50 of the guide; 2 seconds a step and 5 of collecting.
    assert (npo.end("tokens"), npo.end("seconds"), npo.end("step")) == (1550, 35, 12)
    assert npo.at("tokens", np.array([349.0, 350.0, 450.0])) == pytest.approx([0.2, 0.2, 0.24])
    assert npo.first_at("total_steps", 0.24) == 4.0
    assert math.isnan(npo.first_at("step", 0.69))


def test_equal_cost_by_hand(tmp_path: Path) -> None:
    rate = lambda method, seed, step: 0.2 + (0.05 if method == "npo" else 0.04) * step  # noqa: E731
    write_study(tmp_path / "study", TWO, [1], lambda *_: 4, rate=rate)
    grpo, npo = (HeldOutCurve(RunRecords.load(tmp_path / "study" / f"{name}-1")) for name in ("grpo", "npo"))
    assert difference_at_equal(npo, grpo, "step") == pytest.approx((12, 0.12))
    assert difference_at_equal(npo, grpo, "total_steps") == pytest.approx((12, 0.65 - 0.68))  # step 9 beside step 12
    assert difference_at_equal(npo, grpo, "tokens") == pytest.approx((1200, 0.60 - 0.68))  # 350 paid ahead: step 8
    assert difference_at_equal(grpo, npo, "step")[1] == pytest.approx(-0.12)
    # GRPO's level at its half (0.44) is reached by step 4.8, read at whole steps: 5. At its end (0.68): 9.6, so 10.
    assert speed_up(npo, grpo, "step", 0.5) == pytest.approx(6 / 5)
    assert speed_up(npo, grpo, "step", 1.0) == pytest.approx(12 / 10)
    assert speed_up(npo, grpo, "total_steps", 1.0) == pytest.approx(12 / 13)
    assert math.isnan(speed_up(grpo, npo, "step", 1.0))  # 0.8 is never reached
    assert speed_up(grpo, grpo, "tokens", 0.5) == pytest.approx(1.0) and area_difference(grpo, grpo, "tokens") == 0.0
    # A baseline that falls has its level from the start, for nothing; and nothing is no times less than something.
    falls = lambda method, seed, step: 0.1 + 0.03 * step if method == "npo" else 0.2 - 0.01 * step  # noqa: E731
    write_study(tmp_path / "fallen", TWO, [1], lambda *_: 4, rate=falls)
    fallen, risen = (HeldOutCurve(RunRecords.load(tmp_path / "fallen" / f"{name}-1")) for name in ("grpo", "npo"))
    assert math.isnan(speed_up(risen, fallen, "step", 0.5)) and math.isnan(speed_up(fallen, risen, "step", 0.25))
    assert math.isnan(speed_up(fallen, fallen, "step", 0.5))
    # Held at whole steps: the mean over steps 0..11 of 0.01 x step.
    assert area_difference(npo, grpo, "step") == pytest.approx(0.055, abs=1e-3)


def test_a_run_that_declined_is_compared_from_its_first_token_on(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", TWO, [1], lambda *_: 4)
    event = {"event": "probe", "segment": 0, "step": 9, "total_steps": 9, "guide_tokens": 300, "seconds": 6.0}
    shutil.copytree(folder / "grpo-1", tmp_path / "declined")
    with (tmp_path / "declined" / "events.jsonl").open("a") as events:
        events.write(json.dumps(event) + "\n")
    plain, declined = (HeldOutCurve(RunRecords.load(path)) for path in (folder / "grpo-1", tmp_path / "declined"))
    assert declined.end("tokens") == plain.end("tokens") + 300
    # The same curve until step 9, then 300 tokens later, of 1,200: it stands still on a rise of 0.12.
    assert -0.05 < area_difference(declined, plain, "tokens") < 0.0
    assert speed_up(declined, plain, "tokens", 0.5) == pytest.approx(1.0)
    # Before anything is paid, a run holds its first policy.
    assert declined.at("tokens", np.array([0.0, 50.0])).tolist() == [0.2, 0.2]
    assert declined.step_at("tokens", 50.0) == 0


def test_a_run_that_was_not_evaluated_on_the_way_says_nothing_about_equal_cost(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", TWO, [1, 2], lambda *_: 4)
    path = folder / "npo-2" / "metrics.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if "eval/" not in line))
    found = compare(folder).against["grpo"].at_equal["step"]
    assert found.difference.num == 1 and found.verdict == "not known"


# --- the comparison


def hand_study(folder: Path, **more: Any) -> Path:
    """Family long: 2 of 8 samples right for GRPO, 4 for NPO with seed 1 and 6 with the others; short: 4 everywhere."""

    def correct(method: str, seed: int, family: str, prompt: int) -> int:
        if family == "short" or method == "base":
            return 4 if family == "short" else 0
        return 2 if method == "grpo" else 4 if seed == 1 else 6

    return write_study(folder, TWO, [1, 2, 3], correct, **more)


def test_the_main_figure_by_hand(tmp_path: Path) -> None:
    comparison = compare(hand_study(tmp_path / "study"))
    grpo, npo = comparison.summaries
    assert grpo.mean().value == pytest.approx((0.25 + 0.5) / 2)
    # NPO by seed: (0.5 + 0.5) / 2, (0.75 + 0.5) / 2 twice: mean 0.58333, s = 0.0721688, t(2) = 4.30265
    half = 4.302653 * 0.0721688 / math.sqrt(3)
    assert npo.mean() == Estimate(
        *(pytest.approx(v, abs=1e-5) for v in (0.58333, 0.58333 - half, 0.58333 + half)), 3, npo.mean().p_value
    )
    assert [npo.family(1, i).value for i in range(2)] == pytest.approx([2 / 3, 0.5])
    # pass@4 of 2 in 8: 1 - C(6,4)/C(8,4) = 1 - 15/70; of 4: 1 - 1/70; of 6: 1
    assert grpo.scores(4)[0] == pytest.approx([1 - 15 / 70, 1 - 1 / 70])
    assert npo.scores(4)[:, 0] == pytest.approx([1 - 1 / 70, 1.0, 1.0])
    assert comparison.study.base is not None and comparison.study.base.mean() == pytest.approx(0.25)


def test_claims_are_paired_and_say_what_the_interval_carries(tmp_path: Path) -> None:
    comparison = compare(hand_study(tmp_path / "study"))
    [primary] = comparison.primary
    assert (primary.method, primary.other, primary.verdict) == ("npo", "grpo", "supported")
    assert primary.difference.value == pytest.approx(np.mean([0.125, 0.25, 0.25]))
    assert primary.adjusted_p == pytest.approx(primary.difference.p_value)  # one claim needs no adjustment
    assert comparison.baseline is comparison.summaries[0]
    assert comparison.beside_baseline["npo"].mean.difference == primary.difference
    beyond = comparison.beyond_base["grpo"]
    assert beyond[1].difference.value == pytest.approx(0.125)
    # Families of NPO: 0.5 or 0.75 beats 0.25 on one, ties on the other.
    assert comparison.against["grpo"].probability_of_improvement.value == pytest.approx(0.75)


def verdict(low: float, high: float) -> Claim:
    return Claim("a", "b", "m", Estimate((low + high) / 2, low, high, 5))


def test_sharper_and_abler_are_told_apart() -> None:
    above, below, open_ = verdict(0.1, 0.2), verdict(-0.2, -0.1), verdict(-0.1, 0.1)
    assert read_together(above, open_) == "sharpens"
    assert read_together(open_, above) == read_together(above, above) == "adds"
    assert read_together(above, below) == "loses"
    assert read_together(below, open_) == "blunts"
    assert read_together(open_, open_) == "neither"
    assert read_together(above, verdict(math.nan, math.nan)) == "not known"


def test_one_setting_changed_is_an_ablation(tmp_path: Path) -> None:
    methods: dict[str, dict[str, Any]] = {
        "grpo": {},
        "npo": {"scout_steps": 3},
        "npo_importance": {"scout_steps": 3, "weighting": "importance"},
        "other": {"scout_steps": 2, "max_pass_rate": 1.0},
    }
    comparison = compare(write_study(tmp_path / "study", methods, [1, 2], lambda *_: 3))
    [found] = comparison.ablations
    assert (found.variant.method, found.plain.method) == ("npo_importance", "npo")
    assert (found.key, found.value, found.plain_value) == ("weighting", "importance", None)
    assert found.beside.mean.difference.value == 0 and found.beside.mean.verdict == "not known"


def test_methods_that_did_the_same_are_said_to_be_so_once(tmp_path: Path) -> None:
    """A trigger that never fired: plain GRPO with another name."""
    methods: dict[str, dict[str, Any]] = {"grpo": {}, "luffy": {"max_pass_rate": 1.0}, "auto": {"autonpo.mode": "act"}}
    folder = write_study(
        tmp_path / "study",
        methods,
        [1, 2],
        lambda method, seed, family, prompt: 3 - (method == "luffy") * seed,
        row=lambda method, seed, step: {"seconds": 1.0 + 0.1 * seed * (method == "auto")},  # of the machine
    )
    said = " ".join(full_text(compare(folder)).split())
    assert said.count("auto and grpo: no measure differs in any of 2 seeds") == 1
    assert said.count("as high as") == 1 and "auto minus grpo" not in said and "[0.000, 0.000]" not in said
    assert "auto minus luffy, mean@8:" in said
    [found, other] = [compare(folder).against[name] for name in ("grpo", "luffy")]
    assert found.is_identical and not other.is_identical and found.mean.verdict == "not known"


def test_a_missing_run_is_named_and_its_seed_leaves_the_pairs(tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    (folder / "npo-2" / "test.json").unlink()
    (folder / "grpo-3" / "final").rmdir()
    comparison = compare(folder)
    assert comparison.study.missing == {
        "grpo-3": "not trained to its horizon",
        "npo-2": "no final evaluation with 8 samples per prompt of the length it trained with",
    }
    assert comparison.summaries[1].seeds == [1, 3]
    assert comparison.primary[0].difference.num == 1  # only seed 1 has both
    assert comparison.primary[0].verdict == "not known"
    page = Page(write_report([folder], tmp_path / "page.html").read_text())
    assert "Missing, not trained to its horizon: grpo-3." in page.text


def test_a_prompt_that_was_not_judged_often_enough_is_counted(tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    path = folder / "npo-1" / "test.json"
    test = json.loads(path.read_text())
    test["prompts"][0] |= {"num_judged": 3, "num_correct": 3}
    test["num_unjudged"] = 5
    path.write_text(json.dumps(test))
    run = compare(folder).study.of("npo")[0]
    assert run.test.num_short(4) == 1 and run.test.pass_at(4)[0] == pytest.approx(1 - 1 / 70)
    assert run.test.pass_at(1)[0] == pytest.approx((1 + 3 * 0.5) / 4)
    page = Page(write_report([folder], tmp_path / "page.html").read_text())
    assert "npo-1: 5 test samples could not be judged" in page.text
    assert "npo-1: 1 prompt with fewer than 4 judged samples left pass@4." in page.text


def test_nothing_finished_is_an_error(tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    for path in folder.glob("*/final"):
        path.rmdir()
    with pytest.raises(UserError, match="none of the 6 runs"):
        compare(folder)


# --- what is written


def test_the_json_contract(tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    write_report([folder], folder / "report" / "index.html")
    found = json.loads((folder / "report" / "comparison.json").read_text())
    assert [method["method"] for method in found["methods"]] == ["grpo", "npo"]
    npo = found["methods"][1]
    assert npo["mean"] == pytest.approx(0.58333, abs=1e-5) and npo["ci_low"] < npo["mean"] < npo["ci_high"]
    assert (npo["steps"], npo["total_steps"], npo["total_tokens"], npo["seconds"]) == (12, 15, 1550, 35)
    assert set(npo["families"]) == {"long", "short"}
    assert found["claims"][0]["verdict"] == "supported" and found["reference"] == "npo"
    assert found["reference_beside"]["grpo"]["at_equal"]["total_steps"]["at"] == 12
    rows = list(csv.DictReader(io.StringIO((folder / "report" / "comparison.csv").read_text())))
    assert [(row["method"], row["seed"], row["total_steps"]) for row in rows[2:4]] == [
        ("grpo", "3", "12"),
        ("npo", "1", "15"),
    ]
    assert float(rows[3]["mean@8"]) == pytest.approx(0.5) and rows[3]["commit"] == "abc123"
    assert rows[3]["settings"] == rows[4]["settings"] != rows[0]["settings"]


def test_one_seed_is_null_in_json_and_said_in_words(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", TWO, [1], lambda *_: 3)
    found = as_json(compare(folder))
    assert found["methods"][0]["ci_low"] is None and found["claims"][0]["verdict"] == "not known"
    page = Page(write_report([folder], tmp_path / "page.html").read_text())
    assert "one seed and no interval: nothing is known" in page.text
    assert "NaN" not in page.text and "nan" not in page.text.replace("finance", "")


def test_the_page_stands_alone_and_holds_the_claims(tmp_path: Path) -> None:
    page = Page(write_report([hand_study(tmp_path / "study")], tmp_path / "page.html").read_text())
    assert page.loads == [] or all(load.startswith("#") for load in page.loads)
    assert len(set(page.ids)) == len(page.ids)
    for words in (
        "npo minus grpo, mean@8: +0.208",
        "supported, npo is ahead",
        "held-out pass rate at equal total steps (12)",
        "adds ability",
        "untrained model",
    ):
        assert words in page.text, words


def test_the_text_says_every_claim(tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    write_report([folder], folder / "report" / "index.html")
    text = (folder / "report" / "comparison.txt").read_text()
    assert report_text([folder]).renderables
    for clock in ("steps (12)", "total steps (12)", "generated tokens (1200)", "wall-clock (24.0"):
        assert f"npo minus grpo, held-out pass rate at equal {clock}" in text.replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("unevaluated", [["grpo-1"], ["npo-1", "npo-2", "npo-3"], None])
def test_a_study_without_evaluations_on_the_way_is_reported(unevaluated: list[str] | None, tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    for path in folder.glob("*-*/metrics.jsonl"):
        if unevaluated is None or path.parent.name in unevaluated:
            path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if "eval/" not in line))
    page = Page(write_report([folder], folder / "report" / "index.html").read_text())
    text = (folder / "report" / "comparison.txt").read_text()
    assert "npo minus grpo, mean@8: +0.208" in page.text and "npo minus grpo, mean@8: +0.208" in text
    assert "nan" not in page.text.lower().replace("finance", "") and "NaN" not in text
    json.loads((folder / "report" / "comparison.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_a_comparison_is_reported_alone(tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    with pytest.raises(UserError, match="is reported alone"):
        write_report([folder, folder / "npo-1"], tmp_path / "page.html")
    assert "npo-1" in write_report([folder / "npo-1"], tmp_path / "page.html").read_text()


def test_without_test_rows_the_page_says_what_was_used(tmp_path: Path) -> None:
    folder = hand_study(tmp_path / "study")
    for path in folder.glob("*/test.json"):
        path.write_text(path.read_text().replace('"split": "test"', '"split": "evaluation"'))
    page = Page(write_report([folder], tmp_path / "page.html").read_text())
    assert "The task has no test rows" in page.text


def test_settings_are_one_hash_for_all_seeds() -> None:
    plain = {"max_steps": 4, "seed": 1, "run_dir": "a"}
    assert settings_hash(plain) == settings_hash({**plain, "seed": 2, "run_dir": "b"})
    assert settings_hash(plain) != settings_hash({**plain, "max_steps": 5})


def test_forty_runs_are_one_small_page(tmp_path: Path) -> None:
    methods = {"grpo": {}, **{f"method_{i}": {"scout_steps": i} for i in range(1, 8)}}
    correct = lambda method, seed, family, prompt: (len(method) + seed + prompt) % 9  # noqa: E731
    folder = write_study(tmp_path / "study", methods, range(5), correct, families=list("abcdefgh"), num_steps=40)
    page = write_report([folder], tmp_path / "page.html")
    assert len(compare(folder).study.runs) == 40
    assert page.stat().st_size < 5_000_000


def test_no_line_of_a_figure_is_cut_off() -> None:
    """The line far above has no band, and the only band lies below it: the axis once ended above the band."""
    look = Look("C0", "solid", is_strong=False)
    xs = np.array([0.0, 1.0])
    low = Series("grpo", look, xs, np.array([[0.3, 0.5], [0.2, 0.4], [0.4, 0.6]]))
    high = Series("luffy", look, xs, np.array([[0.6, 0.9], [0.5, 0.8], [0.7, 1.0]]), has_band=False)
    least, most = limits([low, high])
    assert least <= 0.3 and most >= 0.9
