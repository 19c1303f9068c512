"""A stage's trainer is gone before the next one is built, or two of them lie in memory."""

from __future__ import annotations

import weakref
from pathlib import Path

from tiny import npo

from nearfuture.train.factory import release


def test_a_released_trainer_frees_its_weights_and_its_optimizer_while_its_name_is_still_held(tmp_path: Path) -> None:
    trainer = npo(tmp_path, optim="adamw_torch")
    trainer.train()
    held = [weakref.ref(thing) for thing in (trainer.model, trainer.optimizer.optimizer, trainer.train_dataset)]
    release(trainer)
    assert [ref() for ref in held] == [None, None, None]
