"""Two real processes on image prompts, groups split between them: they train what one process trains.

Not here: what each process runs (`vision_two_process_script`).
"""

from __future__ import annotations

from pathlib import Path

import tiny
import tiny_vl
import torch
import vision_two_process_script as script
from torchrun import two_processes


def test_two_processes_train_on_images_what_one_trains(tmp_path: Path) -> None:
    tiny_vl.save_model(tmp_path / "model")
    trainer = script.build(tmp_path, num_processes=1)
    tiny.guidance_for(trainer, tmp_path / "guidance", behavior=tiny.apart)
    two_processes(script.__file__, tmp_path)
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1)]
    one = script.run(tmp_path, num_processes=1)
    assert [result["num_processes"] for result in (*both, one)] == [2, 2, 1]
    for what in ("num_images", "num_guided"):
        assert [a + b for a, b in zip(both[0][what], both[1][what], strict=True)] == one[what]
    assert sum(one["num_guided"]) == 9 and 0 < sum(one["num_images"]) < 36
    for ours, other, theirs in zip(both[0]["gradients"], both[1]["gradients"], one["gradients"], strict=True):
        largest = max(float(gradient.abs().max()) for gradient in theirs.values())
        assert largest > 1e-2 and any(".visual." in name for name in theirs)
        for name, gradient in theirs.items():
            assert torch.equal(ours[name], other[name])
            assert float((ours[name] - gradient).abs().max()) < 1e-4 * largest
    assert tiny.largest_difference(both[0]["weights"], one["weights"]) < 1e-4
