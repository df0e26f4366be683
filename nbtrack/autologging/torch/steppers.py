"""Optimizers that step: in which training, where in the user's source, and how far they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbtrack.autologging.torch.source import Site
from nbtrack.autologging.torch.values import Number, Series

if TYPE_CHECKING:
    from nbtrack.autologging.torch.training import Training


@dataclass(frozen=True)
class Call:
    """A call in the user's source, while a step goes on in it; equal wherever it is made again."""

    code: int
    instruction: int
    site: Site = field(compare=False)


Place = tuple[Call, ...]
"""The calls around a step, the outermost first."""


class Stepper:
    """An optimizer in a training, and how far it is.

    Parameters
    ----------
    training
        The training that it is a part of.
    name
        What the user calls it.
    place
        Where in the user's source it steps.
    """

    __slots__ = ("count", "name", "place", "rate", "rates", "series", "training")

    def __init__(self, training: Training, name: str, place: Place) -> None:
        self.training = training
        self.name = name
        self.place = place
        self.count = 0
        self.rate: object = None
        self.rates: dict[str, Number] = {}
        self.series: dict[str, Series] = {}
