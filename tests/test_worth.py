"""What is asked of whom: a policy is not handed what it had solved already."""

from __future__ import annotations

from nearfuture.guidance.ask import Sample
from nearfuture.method.mistakes import MistakePool
from nearfuture.method.rollback import Candidate
from nearfuture.run.auto.probe import Probe, cost_of
from nearfuture.run.auto.worth import asked_for, staying
from nearfuture.run.settings.config import AutoNPOConfig
from nearfuture.types import Verdict

NOW = 40
HISTORY = {  # of each prompt: step and pass rate
    "early": {5: 0.0, 15: 1.0},
    "late": {5: 0.0, 25: 1.0},
    "again": {5: 0.0, 15: 1.0, 25: 0.0, 35: 1.0},
    "stands": {35: 0.0},
}


def pool(*, keep_solved: bool) -> MistakePool:
    made = MistakePool(0.6, window=100, keep_solved=keep_solved)
    for step in range(1, NOW + 1):
        met = {name: rates[step] for name, rates in HISTORY.items() if step in rates}
        made.observe(step, [*met], met.values())
    return made


def asked(step: int, ask: str, *, keep_solved: bool) -> set[str]:
    config = AutoNPOConfig(ask=ask, keep_solved=keep_solved)  # type: ignore[arg-type]
    candidate = Candidate(NOW - step, step, 8, 0.5, 1.0)
    return {mistake.prompt_id for mistake in asked_for(candidate, pool(keep_solved=keep_solved), NOW, config)}


def test_a_checkpoint_is_asked_for_what_its_policy_has_yet_to_solve() -> None:
    assert asked(0, "pool", keep_solved=True) == set(HISTORY)
    assert asked(20, "pool", keep_solved=True) == {"late", "again", "stands"}  # "early" was solved by step 20
    assert asked(30, "pool", keep_solved=True) == {"again", "stands"}
    assert asked(NOW, "pool", keep_solved=True) == {"stands"}  # staying
    for step in (0, 20, 30, NOW):
        assert asked(step, "pool", keep_solved=False) == {"stands"}


def test_a_slice_is_what_failed_after_the_checkpoint() -> None:
    assert asked(20, "slice", keep_solved=True) == {"again", "stands"}
    assert asked(20, "slice", keep_solved=False) == {"stands"}
    assert asked(0, "slice", keep_solved=True) == set(HISTORY)


def test_the_quality_of_staying_is_that_on_what_still_stands() -> None:
    right, wrong = (Sample([1], verdict) for verdict in (Verdict.CORRECT, Verdict.WRONG))
    rows = [{"prompt_id": name} for name in HISTORY]
    samples = [[right, wrong] if name == "stands" else [right, right] for name in HISTORY]
    probe = Probe(NOW, rows, samples, 0.0)
    assert probe.pass_rate == 0.875
    candidate = staying(probe, pool(keep_solved=True))
    assert (candidate.num_prompts, candidate.quality, candidate.variance_cost) == (1, 0.5, 1.0)


def test_no_form_of_v_is_below_one() -> None:
    """A learner to whom every token is half as likely: its weight on 2,000 tokens underflows to 0."""
    tokens = [1] * 2000
    samples = [[Sample(tokens, Verdict.CORRECT)] for _ in range(4)]
    probe = Probe(NOW, [{"prompt_id": str(i)} for i in range(4)], samples, 0.0)
    guide, learner = ([[logp] * len(tokens) for _ in samples] for logp in (-0.1, -0.8))
    for form in ("token", "sequence", "kl"):
        cost = cost_of(probe, learner, guide, form)
        assert cost >= 1.0
        Candidate(10, NOW - 10, 4, 0.5, cost)
