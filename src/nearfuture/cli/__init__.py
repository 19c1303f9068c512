"""The command line: parsing and printing only.

    nearfuture train CONFIG.yaml [key=value ...]    nearfuture guide collect|show|verify|import|export
    nearfuture report RUN...                        nearfuture selftest
    nearfuture compare STUDY.yaml [key=value ...]
    nearfuture signal RUN [--anchor T --json FILE]  nearfuture advise LOG [--json FILE]
    nearfuture evaluate RUN_OR_MODEL [OTHER] --suite ...
    nearfuture plan CONFIG.yaml [key=value ...]     memory, disk, tokens and hours, on paper
    nearfuture data check|difficulty CONFIG.yaml

Exit codes: 0 done, 1 a run of a comparison failed, 2 bad configuration or data, 3 no learning signal, 4 disk,
130 interrupted with a checkpoint saved.

Not here: anything that a Python user could not call; heavy imports happen inside the commands.
"""

from nearfuture.cli import advise, data, evaluate, guide, plan, selftest, signal, study, train
from nearfuture.cli.base import app

__all__ = ["advise", "app", "data", "evaluate", "guide", "main", "plan", "selftest", "signal", "study", "train"]


def main() -> None:
    """Entry point of the `nearfuture` command."""
    app()
