"""nearfuture from Python: the commands as a class and four functions that return values.

    run = nearfuture.Run(task=sums, model="Qwen/Qwen3-0.6B", run_dir="runs/sums", max_steps=400, scout_steps=40)
    run.train()
    run.report()

Not here: the trainer for a TRL script (`nearfuture.train`), the command line (`nearfuture.cli`).
"""

from nearfuture.api.run import Run
from nearfuture.api.shown import Advice, Page, Signal, advise, explain, report, signal

__all__ = ["Advice", "Page", "Run", "Signal", "advise", "explain", "report", "signal"]
