"""The paper as pure functions and values: gate, weights, lineage, mistake pool, trigger, rollback, signal.

Import from the modules, for example `nearfuture.method.gate`; the lineage and the trigger need no torch.

Not here: reading guidance (`nearfuture.guidance`), training (`nearfuture.train`), running (`nearfuture.run`).
"""
