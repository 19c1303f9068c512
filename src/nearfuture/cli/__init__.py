"""The command line: parsing and printing only.

    nearfuture init [FILE.yaml] [--list]            nearfuture docs [PAGE]
    nearfuture train CONFIG.yaml [key=value ...]    nearfuture report RUN...
    nearfuture compare STUDY.yaml [key=value ...]   nearfuture evaluate RUN_OR_MODEL [OTHER] --suite ...
    nearfuture plan CONFIG.yaml [key=value ...]     nearfuture data check|difficulty CONFIG.yaml
    nearfuture guide collect|show|verify|import|export
    nearfuture signal RUN [--anchor T]              nearfuture explain RUN
    nearfuture watch RUN                            nearfuture verify RUN
    nearfuture runs [FOLDER]                        nearfuture clean RUN
    nearfuture advise LOG
    nearfuture model convert FILE.gguf FOLDER       nearfuture selftest

The parameters of a command are its options, however many there are; the functions it calls get a value made of them.

Exit codes are in docs/configuration.md; `failures` decides which error gets which. A CONFIG is a file,
or the name of one that ships.

Not here: anything that a Python user could not call. Heavy imports happen inside the commands.
"""

# In the order in which --help lists the commands.
# isort: off
from nearfuture.cli.base import app
from nearfuture.cli import begin, train, runs, study, watch, evaluate, plan, data
from nearfuture.cli import guide, model, signal, advise, verify, selftest
# isort: on

__all__ = [
    "advise",
    "app",
    "begin",
    "data",
    "evaluate",
    "guide",
    "main",
    "model",
    "plan",
    "runs",
    "selftest",
    "signal",
    "study",
    "train",
    "verify",
    "watch",
]


def main() -> None:
    """Entry point of the `nearfuture` command."""
    app()
