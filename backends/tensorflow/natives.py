"""What Keras and TensorFlow have themselves, by the operation's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rnnspec.backends.native import Native
from rnnspec.backends.tensorflow import attention, blocks, layers_of_layers, losses, recurrent

NATIVES: Final[Mapping[str, Native]] = {
    **blocks.NATIVES,
    **losses.NATIVES,
    **recurrent.NATIVES,
    **layers_of_layers.NATIVES,
    **attention.NATIVES,
}
