"""A fitted model in one file: `jax_course.save(path, model, theta)`, `jax_course.load(path)`.

The file is an `archive`, NumPy's `.npz`: every array of theta and of the settings by its place, such as `theta['w']`,
and a JSON text with the model's name, the structure of theta, names of columns, classes, and the release that wrote it.
It is written whole or not at all. Nothing is unpickled, and no code of the file is run: the records of the library are
known by name, and other classes are refused.
"""

from jax_course.model_files.saved_model import SavedModel, load, save

__all__ = ["SavedModel", "load", "save"]


def __dir__() -> list[str]:
    return __all__
