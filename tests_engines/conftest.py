"""What these tests need of the process before vLLM or DeepSpeed is imported."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine in this process, so that its weights can be looked at
    "VLLM_NO_USAGE_STATS": "1",
}
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)
