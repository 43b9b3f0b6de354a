"""Models as data: specified operations one after another, with losses and an optimizer, a TOML file each.

`model` and `models` read the files; `shapes` works out every shape at the sizes of a run.
"""

from rnnspec.spec.models.diagram import mermaid
from rnnspec.spec.models.model import Data, Loss, Model, Read, Schedule, Stage, Step
from rnnspec.spec.models.reading import UnknownModelError, load_models, model, models
from rnnspec.spec.models.shapes import Parameter, Shapes, shapes

__all__ = [
    "Data",
    "Loss",
    "Model",
    "Parameter",
    "Read",
    "Schedule",
    "Shapes",
    "Stage",
    "Step",
    "UnknownModelError",
    "load_models",
    "mermaid",
    "model",
    "models",
    "shapes",
]
