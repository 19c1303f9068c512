"""`nearfuture evaluate`: what is asked, what survives a kill, what is said, and the errors a user meets."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import commands
import pytest
import torch
from benchmark_data import Scripted, fixtures, loads, right, rows_of, sometimes
from datasets import Dataset
from pages import Page
from tiny import TASK

from nearfuture import seal
from nearfuture.guidance.held_out import answer, metrics_of
from nearfuture.lab.evaluate.answering import seed_of
from nearfuture.lab.evaluate.benchmarks import PAPER
from nearfuture.lab.evaluate.comparison import mean_score
from nearfuture.lab.evaluate.evaluation import Asked, evaluate
from nearfuture.lab.evaluate.output import write_evaluation
from nearfuture.lab.evaluate.reported import COLUMNS, REPORTED
from nearfuture.lab.evaluate.request import output_of, read_arguments, task_of
from nearfuture.lab.evaluate.responses import Answer
from nearfuture.lab.evaluate.scores import Score, score
from nearfuture.lab.evaluate.subjects import find_subjects
from nearfuture.lab.evaluate.suites import Sources, Suite, judge_answers, load_suites
from nearfuture.method.lineage import Lineage
from nearfuture.record import flat_yaml
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import Task, VerdictReward
from nearfuture.train import NPOConfig, NPOTrainer, TRLEngine, checkpoint
from nearfuture.train.answer.decoding import Decoding, EngineSettings
from nearfuture.train.answer.policy import TransformersPolicy
from nearfuture.train.vision.processor import load_processing_class
from nearfuture.types import UserError, Verdict

EIGHT = tuple(benchmark.name for benchmark in PAPER)
AT_ONE = Decoding(1.0, top_p=1.0, top_k=0, presence_penalty=0.0, max_completion_length=8)


def asked(output: Path, *suites: str, limit: int | None = None, **more: Any) -> Asked:
    engine = EngineSettings(batch_size=more.pop("batch_size", 8))
    settings = {"num_samples": 2, "sources": Sources(data=fixtures(), limit=limit), "engine": engine, **more}
    return Asked(suites or EIGHT, output, **settings)


def ask(output: Path, policy: Scripted, *suites: str, names: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    names = names or (str(fixtures() / "model"),)
    return evaluate(names, asked(output, *suites, **more), load=loads(policy), say=lambda _: None)


def run_folder(path: Path) -> Path:
    """A finished run of the apprentice with checkpoints at 2 and 4, made of copies of its base model."""
    keys = {"task": "apprentice", "run_dir": str(path), "max_steps": 6, "max_completion_length": 8}
    (path / "segments/000").mkdir(parents=True)
    config = load_configuration(None, [f"{key}={value}" for key, value in keys.items()])
    (path / "config.yaml").write_text(flat_yaml.dump(config.as_dict()))
    Lineage.begin().end_head(6, "horizon").write(path / "lineage.json")
    assert TASK.model is not None
    for step in (2, 4):
        folder = path / f"segments/000/checkpoint-{step}"
        shutil.copytree(TASK.model, folder)
        checkpoint.mark_complete(folder, {"step": step})
    shutil.copytree(TASK.model, path / "final")
    return path


def test_all_eight_are_scored(tmp_path: Path) -> None:
    result = ask(tmp_path, Scripted(right))
    scores = result["policies"][0]["scores"]
    assert list(scores) == list(EIGHT) == list(COLUMNS)
    assert [score["value"] for score in scores.values()] == [1.0] * 8
    assert {suite["num_questions"] for suite in result["suites"]} == {20, 21, 22, 40}
    assert scores["wemath"]["metrics"]["score (loose)"]["value"] == 1.0
    assert "6 composite problems" in result["suites"][4]["note"]
    assert scores["mmbench"]["metrics"]["circular"]["value"] == 1.0
    assert result["policies"][0]["mean"]["value"] == 1.0


def resealed(text: str) -> str:
    """Rows that somebody else would have written: each with the seal of what it says now."""
    rows = (json.dumps(seal.without(json.loads(line))) for line in text.splitlines())
    return "".join(f"{seal.sealed(row)}\n" for row in rows)


def test_what_is_counted_is_what_was_answered(tmp_path: Path) -> None:
    """One of four forms by the question's number: right, wrong, no answer, cut off."""
    rows = rows_of("mmstar")
    place = {row["uid"]: number for number, row in enumerate(rows.facts())}
    forms = (
        right,
        lambda row, seed: f"\\boxed{{{'AB'[row['gold'] == 'A']}}}",
        lambda *_: "I looked at it for long, and cannot tell which of these options it would be.",
        lambda *_: "",
    )
    result = ask(tmp_path, Scripted(lambda row, seed: forms[place[row["uid"]] % 4](row, seed)), "mmstar")
    score = result["policies"][0]["scores"]["mmstar"]
    assert score["value"] == 0.25
    assert score["rates"] == {"truncated": 0.25, "correct": 0.25, "wrong": 0.25, "no_answer": 0.5} | dict.fromkeys(
        ("invalid_gold", "timeout", "crash"), 0.0
    )
    assert score["pass_at"]["2"]["value"] == 0.25  # both samples of a question are alike
    lines = [json.loads(line) for line in (tmp_path / "responses/model/mmstar.jsonl").read_text().splitlines()]
    lines = [seal.without(line) for line in lines]
    assert [(line["uid"], line["sample"]) for line in lines] == [(uid, s) for uid in place for s in (0, 1)]
    assert lines[0] == {
        "uid": next(iter(place)),
        "sample": 0,
        "response": "\\boxed{A}",
        "verdict": "correct",
        "extracted": "A",
        "tokens": 1,
        "truncated": False,
    }


def test_pass_at_k_lies_above_mean_at_k(tmp_path: Path) -> None:
    result = ask(tmp_path, Scripted(sometimes(0.3)), "mathvision", num_samples=8)
    found = {k: one["value"] for k, one in result["policies"][0]["scores"]["mathvision"]["pass_at"].items()}
    assert list(found) == ["1", "2", "4", "8"]
    assert found["1"] == pytest.approx(result["policies"][0]["scores"]["mathvision"]["value"])
    assert found["1"] == pytest.approx(0.3, abs=0.12) and found["8"] == pytest.approx(1 - 0.7**8, abs=0.12)


class Interrupted(Scripted):
    """Is killed when it is asked for a third batch."""

    def sample(self, *arguments: Any) -> Any:
        if len(self.sampled) >= 16:
            raise KeyboardInterrupt
        return super().sample(*arguments)


def test_a_killed_evaluation_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    rule = sometimes(0.5)
    whole = ask(tmp_path / "whole", Scripted(rule), "mathvista", "mmstar")
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path / "killed", Interrupted(rule), "mathvista", "mmstar")
    part = tmp_path / "killed/responses/model/mathvista.part.jsonl"
    with part.open("a") as file:
        file.write('{"answers": [{"uid": "mathv')  # and while it wrote
    again = Scripted(rule)
    assert ask(tmp_path / "killed", again, "mathvista", "mmstar") == whole
    assert len(again.sampled) == 80 - 16
    for name in ("mathvista.jsonl", "mmstar.jsonl", "mathvista.json"):
        pair = [tmp_path / at / "responses/model" / name for at in ("whole", "killed")]
        assert pair[0].read_bytes() == pair[1].read_bytes()
    assert not part.exists()
    idle = Scripted(rule)
    assert ask(tmp_path / "killed", idle, "mathvista", "mmstar") == whole and not idle.sampled


def test_a_subset_draws_what_the_whole_draws_and_more_samples_keep_the_first(tmp_path: Path) -> None:
    whole, part, more = Scripted(right), Scripted(right), Scripted(right)
    ask(tmp_path / "whole", whole, "mathverse")
    result = ask(tmp_path / "part", part, "mathverse", limit=7)
    assert result["suites"][0]["num_questions"] == 10  # clusters of five, whole
    assert set(part.sampled) < set(whole.sampled)
    ask(tmp_path / "part", more, "mathverse", limit=7, num_samples=5)
    assert len(more.sampled) == 30 and not set(more.sampled) & set(part.sampled)
    assert whole.sampled[0][1] == seed_of(0, whole.sampled[0][0], 0)
    assert len({seed for _, seed in whole.sampled}) == 40


def test_other_settings_are_refused_and_other_verifiers_judge_again(tmp_path: Path) -> None:
    ask(tmp_path, Scripted(right), "mmstar")
    with pytest.raises(UserError, match=r"sampled differently \(seed: 0 -> 1\).*--clean"):
        ask(tmp_path, Scripted(right), "mmstar", seed=1)
    head = tmp_path / "responses/model/mmstar.json"
    head.write_text(resealed(json.dumps(json.loads(head.read_text()) | {"verifier_version": "0"})))
    lines = tmp_path / "responses/model/mmstar.jsonl"
    lines.write_text(resealed(lines.read_text().replace('"correct"', '"wrong"')))
    idle = Scripted(right)
    assert ask(tmp_path, idle, "mmstar")["policies"][0]["scores"]["mmstar"]["value"] == 1.0
    assert not idle.sampled and '"wrong"' not in lines.read_text()
    anew = Scripted(right)
    ask(tmp_path, anew, "mmstar", seed=1, is_clean=True)
    assert len(anew.sampled) == 40
    own = tmp_path / "own.jsonl"
    own.write_text('{"question": "1 + 1?", "gold": "2", "uid": "a"}\n')
    ask(tmp_path, Scripted(right), str(own))
    own.write_text('{"question": "1 + 2?", "gold": "3", "uid": "a"}\n')
    with pytest.raises(UserError, match="sampled differently \\(data: "):
        ask(tmp_path, Scripted(right), str(own))


class Broken(Scripted):
    """Fails before it has answered anything, as a model without a chat template does."""

    def sample(self, *arguments: Any) -> Any:
        raise UserError("broken")


def test_a_call_that_sampled_nothing_refuses_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="broken"):
        ask(tmp_path / "out", Broken(right), "mmstar", seed=1)
    assert ask(tmp_path / "out", Scripted(right), "mmstar") == ask(tmp_path / "clean", Scripted(right), "mmstar")
    for name in ("mmstar.jsonl", "mmstar.json"):
        pair = [tmp_path / at / "responses/model" / name for at in ("out", "clean")]
        assert pair[0].read_bytes() == pair[1].read_bytes()
    with pytest.raises(UserError, match="seed: 0 -> 1"):
        ask(tmp_path / "out", Scripted(right), "mmstar", seed=1)


def test_what_the_verifier_failed_on_is_judged_again(tmp_path: Path) -> None:
    whole = ask(tmp_path, Scripted(right), "mmstar")["policies"][0]["scores"]
    lines = tmp_path / "responses/model/mmstar.jsonl"
    before = lines.read_text()
    for failure in (Verdict.TIMEOUT, Verdict.CRASH):
        lines.write_text(resealed(before.replace('"correct"', f'"{failure}"', 3)))
        idle = Scripted(right)
        assert ask(tmp_path, idle, "mmstar")["policies"][0]["scores"] == whole
        assert not idle.sampled and lines.read_text() == before


def test_unjudged_responses_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "gold": "1", "kind": "numeric", "uid": str(n)} for n in range(3)]
    rows += [
        {"question": "4?", "gold": "many", "kind": "numeric", "uid": "bad"},
        {**rows[0], "gold": "", "uid": "none"},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = ask(tmp_path, Scripted(lambda row, seed: "\\boxed{1}" if row["uid"] != "0" else "\\boxed{2}"), str(path))
    score = result["policies"][0]["scores"]["own"]
    assert score["value"] == pytest.approx(2 / 3)
    assert score["bounds"] == pytest.approx([2 / 4, 3 / 4])
    assert score["invalid_golds"] == ["bad"]
    assert "5 rows read, 4 kept; left out: 1 no gold answer" in result["suites"][0]["note"]
    for text, message in (
        (json.dumps(rows[3]), r"none of 2 responses could be judged \(2 invalid_gold\).*bad"),
        (json.dumps(rows[4]), "no questions"),
        ('{"prompt": "?"}', "which is no known form"),
    ):
        path.write_text(f"{text}\n")
        with pytest.raises(UserError, match=message):
            ask(tmp_path / "other", Scripted(right), str(path))


def two_models(tmp_path: Path) -> tuple[str, str]:
    """Two folders that pass for models."""
    for name in ("better", "worse"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    return str(tmp_path / "better"), str(tmp_path / "worse")


def test_two_policies_are_compared_question_by_question(tmp_path: Path) -> None:
    names = two_models(tmp_path)
    policies = {names[0]: Scripted(sometimes(0.8)), names[1]: Scripted(sometimes(0.3))}
    result = evaluate(names, asked(tmp_path, num_samples=4), load=lambda name, _: policies[name], say=lambda _: None)
    [found] = result["comparisons"]
    scores = [policy["scores"] for policy in result["policies"]]
    assert list(found["suites"]) == list(EIGHT)
    for name, difference in found["suites"].items():
        assert difference["value"] == pytest.approx(scores[0][name]["value"] - scores[1][name]["value"])
        assert difference["low"] <= difference["value"] <= difference["high"]
        assert difference["p_value"] <= difference["adjusted_p"]
    means = [policy["mean"]["value"] for policy in result["policies"]]
    assert found["mean"]["value"] == pytest.approx(means[0] - means[1])
    assert found["mean"]["p_value"] < 0.001 and found["mean"]["adjusted_p"] is None
    assert [uid for uid, _ in policies[names[0]].sampled] == [uid for uid, _ in policies[names[1]].sampled]
    assert policies[names[0]].sampled == policies[names[1]].sampled  # the same random numbers


def test_two_policies_that_agree_everywhere_are_not_said_to_be_equal_for_certain(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"question": f"{i}?", "gold": str(i)}) + "\n" for i in range(5)))
    names = two_models(tmp_path)
    for number, rule in enumerate((right, lambda row, seed: "\\boxed{no}")):
        output = tmp_path / f"out{number}"
        result = evaluate(names, asked(output, str(rows)), load=loads(Scripted(rule)), say=lambda _: None)
        [found] = result["comparisons"]
        beyond = 1 - 0.025 ** (1 / 5)
        for one in (found["mean"], found["suites"]["rows"]):
            assert (one["value"], one["low"], one["high"]) == pytest.approx((0.0, -beyond, beyond))
            assert one["detectable"] is None and one["p_value"] == 1.0
        assert result["policies"][0]["mean"]["low"] == result["policies"][0]["scores"]["rows"]["low"]
        write_evaluation(result, output, "nearfuture evaluate")
        said = " ".join((output / "evaluation.txt").read_text().split())
        assert "not told apart" in said and "cannot be told" in said and "four times in five" not in said


def test_files_and_page_say_the_same(tmp_path: Path) -> None:
    names = two_models(tmp_path)
    policies = {names[0]: Scripted(sometimes(0.8)), names[1]: Scripted(sometimes(0.3))}
    result = evaluate(names, asked(tmp_path), load=lambda name, _: policies[name], say=lambda _: None)
    html = write_evaluation(result, tmp_path, "nearfuture evaluate").read_text()
    page = Page(html)
    assert all(target.startswith(("#", "data:image/")) for target in page.loads) and len(page.ids) == len(set(page.ids))
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result
    kept = result["samples"]
    assert {sample["policy"] for sample in kept} == {"better", "worse"} and len(page.data["samples"]) == len(kept)
    assert all(sample["expected"] and sample["rollouts"][0]["verdict"] for sample in kept)
    text = (tmp_path / "evaluation.txt").read_text()
    shown = f"{100 * result['policies'][0]['scores']['mathvista']['value']:.2f} ±"
    assert shown in text and shown in html
    for said in (text, html):
        assert "AutoNPO (reported)" in said and "63.15" in said and "cannot be compared" in said
        assert not re.search(r"AutoNPO(?! \(reported\))", said)
    rows = list(csv.DictReader((tmp_path / "evaluation.csv").open()))
    [row] = [r for r in rows if r["policy"] == "worse" and r["suite"] == "mmstar" and r["metric"] == "accuracy"]
    assert float(row["value"]) == result["policies"][1]["scores"]["mmstar"]["value"]
    assert {r["metric"] for r in rows if r["suite"] == "wemath"} >= {"score (strict)", "pass@2", "rate/truncated"}


def scored(suite: Suite) -> Score:
    """Two questions in three are right."""
    verdicts = [Verdict.CORRECT if i % 3 else Verdict.WRONG for i in range(len(suite.rows))]
    answers = [[Answer(row["uid"], 0, "", one, None, 1, False)] for row, one in zip(suite.rows, verdicts, strict=True)]
    return score(suite, answers)


def test_suites_of_one_size_are_resampled_apart() -> None:
    """With the same draws for both, the interval of their mean would be that of questions that come in pairs."""
    first, second = (scored(one) for one in load_suites(["mmstar", "mathvision"], Sources(data=fixtures(), limit=12)))
    assert first.resamples.shape == second.resamples.shape
    assert (first.resamples[1:] != second.resamples[1:]).any()
    assert (first.resamples == scored(first.suite).resamples).all()  # the same for every policy


def test_one_question_is_said_to_be_too_few_for_an_interval(tmp_path: Path) -> None:
    names = two_models(tmp_path)
    policies = {names[0]: Scripted(sometimes(0.9)), names[1]: Scripted(sometimes(0.2))}
    request = asked(tmp_path, "mmstar", "mathvision", limit=1)
    result = evaluate(names, request, load=lambda name, _: policies[name], say=lambda _: None)
    [found] = result["comparisons"]
    assert found["mean"]["low"] is None and found["mean"]["detectable"] is None
    write_evaluation(result, tmp_path, "nearfuture evaluate")
    said = " ".join((tmp_path / "evaluation.txt").read_text().split())
    assert "MM-Star, MM-Star macro, MathVision, MathVision level 4: too few questions for an interval" in said
    assert "No interval can be given" in said and "would be found four times in five" not in said


def test_a_small_family_does_not_cost_the_interval_of_the_mean(tmp_path: Path) -> None:
    families = ["large"] * 45 + ["small"] * 2
    rows = [{"question": f"{i}?", "gold": str(i), "family": family} for i, family in enumerate(families)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    [suite] = load_suites([str(path)], Sources())
    found = scored(suite)
    mean = mean_score([found])
    assert (mean.value, mean.low, mean.high) == (found.value.value, found.value.low, found.value.high)
    assert mean.low < mean.value < mean.high


@pytest.mark.parametrize("as_text", [False, True])
def test_rows_say_which_of_them_belong_together(as_text: bool, tmp_path: Path) -> None:
    metas = [{"cluster": 0}, {"cluster": 0}, {"cluster": "b"}, {}]
    written = [json.dumps(meta) if as_text else meta for meta in metas]
    rows = [{"question": f"{i}?", "answer": str(i), "meta": meta} for i, meta in enumerate(written)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    [suite] = load_suites([str(path)], Sources())
    clusters = [question.cluster for question in suite.questions]
    assert clusters[0] == clusters[1] == "0" and clusters[2] == "b" and clusters[3] == suite.rows[3]["uid"]


def test_the_reported_table_is_consistent() -> None:
    """Every row averages to its printed average but one, which the paper misprints."""
    wrong = [method for method, row in REPORTED.items() if abs(sum(row[:-1]) / 8 - row[-1]) > 0.0051]
    assert wrong == ["NPO early + late"]


def test_runs_checkpoints_and_lineages_are_found(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "npo")
    assert [(s.label, s.step) for s in find_subjects([str(run), f"{run}@2"])] == [("npo", None), ("npo@2", 2)]
    path = find_subjects([str(run)], lineage=True)
    assert [(s.label, Path(s.model).name) for s in path] == [
        ("npo@0", "model"),
        ("npo@2", "checkpoint-2"),
        ("npo@4", "checkpoint-4"),
        ("npo@6", "final"),
    ]
    assert find_subjects(["Qwen/Qwen3-VL-8B-Instruct"])[0].label == "Qwen3-VL-8B-Instruct"
    assert output_of(f"{run}@2") == run / "evaluation" and output_of("Qwen/X") == Path("evaluations/X")
    task, decoding = task_of([str(run)], None)
    assert isinstance(task, Configuration) and task.run.task == "apprentice"
    assert (decoding.temperature, decoding.max_completion_length) == (1.0, 8)
    with pytest.raises(UserError, match=r"no checkpoint at step 3. There are: 0, 2, 4"):
        find_subjects([f"{run}@3"])
    with pytest.raises(UserError, match="named twice"):
        find_subjects([str(run), str(run)])
    with pytest.raises(UserError, match="does not exist"):
        find_subjects(["nowhere"])
    shutil.rmtree(run / "final")
    with pytest.raises(UserError, match=r"not finished.*npo@STEP \(2, 4\)"):
        find_subjects([str(run)])


def test_settings_are_read_strictly() -> None:
    found = read_arguments(["a", "temperature=0", "b", "use_vllm=true", "top_k=5", "dataset_template=text"])
    assert (found.names, found.decoding) == (["a", "b"], {"temperature": 0.0, "top_k": 5})
    assert found.engine.use_vllm and found.rows.dataset_template == "text"
    for arguments, message in (
        ([], "0 policies"),
        (["a", "b", "c"], "3 policies"),
        (["a", "temperatur=1"], "Did you mean temperature"),
        (["a", "dataset_name=gsm8k"], "not a setting of an evaluation"),
        (["a", "top_p=2"], "top_p=2.0 must be above 0"),
        (["a", "top_k=many"], "top_k='many'"),
    ):
        with pytest.raises(UserError, match=message):
            read_arguments(arguments)


def test_suites_are_named_or_refused() -> None:
    with pytest.raises(UserError, match="Did you mean mathvista"):
        load_suites(["mathvist"], Sources())
    with pytest.raises(UserError, match="needs a task"):
        load_suites(["task"], Sources())
    with pytest.raises(UserError, match="there is no such file"):
        load_suites(["rows.jsonl"], Sources())
    [suite] = load_suites(["task"], Sources(task="apprentice"))
    assert len(suite.questions) == len(TASK.test) and len(suite.benchmark.others) == 8
    correct = [[suite.judge([row["answer"]], [row])[0][0] == Verdict.CORRECT] for row in suite.rows]
    units = suite.benchmark.metric.units(suite.questions, correct)
    assert {unit.value for unit in units} == {1.0} and len({unit.stratum for unit in units}) == 8


def test_a_row_is_sampled_the_same_in_any_company() -> None:
    policy = TransformersPolicy(str(fixtures() / "model"), EngineSettings())
    rows = [rows_of("mathverse")[0], rows_of("mmmu_pro")[0], {"prompt": [{"role": "user", "content": "Text only"}]}]
    together = policy.sample(rows, [1, 2, 3], AT_ONE)
    assert [policy.sample([row], [seed], AT_ONE)[0] for row, seed in zip(rows, (1, 2, 3), strict=True)] == together
    assert policy.sample(rows[:1], [4], AT_ONE) != together[:1]
    assert all(response.num_tokens == 8 and response.is_truncated for response in together)
    greedy = Decoding(temperature=0.0, presence_penalty=0.0, max_completion_length=4)
    assert policy.sample(rows[:1], [1], greedy) == policy.sample(rows[:1], [2], greedy)


def test_seeded_rows_have_the_law_of_the_model() -> None:
    """Frequencies of the first token of 2,000 rows against softmax: chi-square over tokens seen often enough."""
    assert TASK.model is not None
    policy = TransformersPolicy(TASK.model, EngineSettings())
    row = {"prompt": TASK.test[0]["prompt"]}
    one = Decoding(1.0, top_p=1.0, top_k=0, presence_penalty=0.0, max_completion_length=1)
    texts = [response.text for response in policy.sample([row] * 2000, list(range(2000)), one)]
    inputs = policy.processing_class(text=[row["prompt"]], return_tensors="pt")
    with torch.no_grad():
        probs = policy.model(**inputs).logits[0, -1].softmax(-1)
    likely = [token for token in range(len(probs)) if probs[token] > 0.005]
    counts = {token: texts.count(policy.processing_class.decode([token])) for token in likely}
    chi2 = sum((counts[t] - 2000 * float(probs[t])) ** 2 / (2000 * float(probs[t])) for t in likely)
    assert chi2 < len(likely) + 4 * math.sqrt(2 * len(likely))


def test_the_command_line_does_it_all_offline(tmp_path: Path) -> None:
    code, said = commands.invoke(
        *("evaluate", fixtures() / "model", "--suite", "paper", "--data", fixtures(), "--output", tmp_path),
        *("--num-samples", 1, "--limit", 4, "max_completion_length=4"),
    )
    assert code == 0, said
    assert "AutoNPO (reported)" in said and f"page: {tmp_path}/index.html" in said
    assert len(list((tmp_path / "responses/model").glob("*.jsonl"))) == 8


def test_a_run_is_followed_along_its_path(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "npo")
    code, said = commands.invoke(
        *("evaluate", run, "--lineage", "--suite", "task", "--num-samples", 1, "--limit", 16, "batch_size=64"),
    )
    assert code == 0, said
    result = json.loads((run / "evaluation/evaluation.json").read_text())
    assert [policy["step"] for policy in result["policies"]] == [0, 2, 4, 6]
    assert len({policy["scores"]["apprentice"]["value"] for policy in result["policies"]}) == 1  # copies of one model
    assert result["comparisons"][0]["mean"]["value"] == 0.0
    assert "not told apart" in said


def test_what_is_missing_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    model = fixtures() / "model"
    for arguments, message in (
        ((model, "--suite", "mathvista", "--data", tmp_path), "hf download AI4Math/MathVista"),
        ((model, "--suite", "mathvista,nonsense", "--data", fixtures()), "--suite nonsense is not known"),
        (("nowhere", "--suite", "paper"), "nowhere does not exist"),
        ((model, "--suite", "mmstar", "--data", fixtures(), "--num-samples", 0), "--num-samples 0 must be at least 1"),
        ((TASK.model, "--suite", "mmstar", "--data", fixtures()), "Evaluate a vision-language model"),
    ):
        code, said = commands.invoke("evaluate", *arguments, "--output", tmp_path / "out")
        assert code == 2 and message in said, said


def test_a_model_without_a_template_is_told_the_key_that_asks_it_in_plain_text(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "1 + 1", "answer": "2"}\n')
    call = ("evaluate", TASK.model, "--suite", rows, "--output", tmp_path / "out", "max_completion_length=4")
    code, said = commands.invoke(*call)
    assert code == 2 and "no chat template" in said and "dataset_template=text" in said, said
    code, said = commands.invoke(*call, "dataset_template=text")
    assert code == 0, said


def test_training_evaluates_the_same_rows_on_its_way(tmp_path: Path) -> None:
    """`eval_every` asks through the trainer; benchmark rows with two images each go that way as well."""
    rows = [rows_of("mmmu_pro")[i] for i in range(4)]
    model = str(fixtures() / "model")

    def judge_row(text: str, row: dict[str, Any]) -> Verdict:
        return judge_answers([text], [row])[0][0]

    trainer = NPOTrainer(
        model,
        reward_funcs=VerdictReward(Task("mmmu_pro", rows, rows, judge_row)),
        args=NPOConfig(str(tmp_path), max_completion_length=4, num_generations=2, per_device_train_batch_size=2),
        train_dataset=Dataset.from_list(rows),
        processing_class=load_processing_class(model, padding_side="left"),
    )
    found = metrics_of(answer(TRLEngine(trainer), rows, judge_row, num_samples=2, batch_size=4, seed=0), rows)
    assert (found["eval/num_prompts"], found["eval/tokens"]) == (4, 4 * 2 * 4)
