"""Makes torchvision importable beside a torch built for the CPU alone; import it first.

The wheels on PyPI are built for CUDA: their operators do not load, and the import fails at the first one ("operator
torchvision::nms does not exist"). Declared operators are enough for the import; nothing in an evaluation calls them.

Not here: machines with a GPU, where torch and torchvision fit and this does nothing.
"""

from __future__ import annotations

import torch

OPERATORS = (
    *("nms", "qnms", "roi_align", "_roi_align_backward", "roi_pool", "_roi_pool_backward", "ps_roi_align"),
    *("_ps_roi_align_backward", "ps_roi_pool", "_ps_roi_pool_backward", "qroi_align", "deform_conv2d"),
    "_deform_conv2d_backward",
)

if torch.version.cuda is None:
    LIBRARY = torch.library.Library("torchvision", "DEF")  # the declarations live as long as it does
    for name in OPERATORS:
        LIBRARY.define(f"{name}(Tensor tensor) -> Tensor")
