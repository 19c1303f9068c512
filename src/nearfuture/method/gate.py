"""The gate: which prompts receive a trajectory of the near-future policy.

Letters: P prompts, G generations per prompt.

Not here: putting the trajectory into the group (`nearfuture.train.trainer`), finding it (`nearfuture.guidance`).
"""

from __future__ import annotations

import torch


def pass_rate(correct_P_G: torch.Tensor, is_judged_P_G: torch.Tensor) -> torch.Tensor:
    """Estimate how often the current policy solves each prompt, over the rollouts that could be judged.

        q_p = sum_g correct_pg / sum_g judged_pg        (NaN if nothing could be judged)

    See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.1; reconstruction.md 1.1. A rollout whose
    verifier timed out or crashed says nothing about the policy: it is neither a success nor a failure.

    Args:
        correct_P_G: [P, G] bool, verdicts on the on-policy rollouts, before any slot is replaced.
        is_judged_P_G: [P, G] bool, False where the verifier could not judge.

    Returns:
        [P] float, in [0, 1] or NaN.

    Example:
        >>> pass_rate(torch.tensor([[True, False, False, False]]), torch.tensor([[True, True, False, False]]))
        tensor([0.5000])
    """
    assert correct_P_G.shape == is_judged_P_G.shape and correct_P_G.ndim == 2
    return (correct_P_G & is_judged_P_G).sum(1).float() / is_judged_P_G.sum(1).float()


def select_guided(pass_rate_P: torch.Tensor, has_guidance_P: torch.Tensor, *, max_pass_rate: float) -> torch.Tensor:
    """Select the prompts the current policy struggles with and guidance can help.

        inject_p = 1[q_p <= max_pass_rate] * 1[guidance for p exists]

    See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.1. The pass rate is estimated on the full
    on-policy group, before any slot is replaced, and counts the verifier's verdict, not the reward: a format bonus must
    not make a wrong answer look solved. A prompt that could not be judged (NaN) is left alone.

    Args:
        pass_rate_P: [P] float, on-policy pass rate of each group, gathered over processes.
        has_guidance_P: [P] bool, True where the source holds a verified trajectory.
        max_pass_rate: highest pass rate that still admits guidance (the paper's tau_gate); negative closes the gate,
            which is plain GRPO.

    Returns:
        [P] bool, True where the last slot of the group is to be replaced.

    Example:
        >>> select_guided(torch.tensor([0.0, 0.75, 0.25]), torch.tensor([True, True, False]), max_pass_rate=0.6)
        tensor([ True, False, False])
    """
    assert pass_rate_P.shape == has_guidance_P.shape and pass_rate_P.ndim == 1
    return (pass_rate_P <= max_pass_rate) & has_guidance_P
