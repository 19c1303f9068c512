"""The command line with vLLM on a CPU and the instrument: RECORD KILL_AT ARGUMENTS... (KILL_AT -1: let it live)."""

import sys
from pathlib import Path

import instrument

from nearfuture.cli import main

record, kill_at, *arguments = sys.argv[1:]
instrument.watch(Path(record), int(kill_at))
sys.argv = ["nearfuture", *arguments]
main()
