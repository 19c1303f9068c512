"""Put other weights into a model temporarily: the trained ones are set aside and put back, nothing is copied.

Not here: what the model does in the meantime (`informed`, `parallel`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

Weights = dict[str, Tensor]


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trained parameters, by name; a tied one appears once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def copy_of(model: nn.Module) -> Weights:
    """Copy the trained parameters."""
    return {name: parameter.detach().clone() for name, parameter in trained(model).items()}


def put(model: nn.Module, weights: Mapping[str, Tensor]) -> Weights:
    """Put other weights into a model, on its device, and return those it had."""
    before = {}
    for name, parameter in trained(model).items():
        before[name] = parameter.data
        parameter.data = weights[name].to(parameter.device)
    return before


@contextlib.contextmanager
def held(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Hold other weights in a model; afterwards it has its own again."""
    before = put(model, weights)
    try:
        yield
    finally:
        put(model, before)
