"""`nearfuture` under DeepSpeed on a CPU: torchrun --nproc-per-node 2 tests_engines/deepspeed_script.py ARGUMENTS...

accelerate knows no DeepSpeed on a CPU (each process would take itself for the only one), and DeepSpeed would compile an
all-reduce in shared memory, minutes of g++: both are told of gloo instead.

Not here: what must hold (`test_deepspeed`).
"""

import importlib
import sys

from accelerate.state import DistributedType, PartialState

communication = importlib.import_module("deepspeed.comm.torch")  # as an attribute of deepspeed.comm it is torch itself
communication.build_shm_op = lambda: None
PartialState._prepare_backend = lambda self, *args: ("gloo", DistributedType.MULTI_GPU)

if __name__ == "__main__":
    from nearfuture.cli import main

    sys.argv[0] = "nearfuture"
    main()
