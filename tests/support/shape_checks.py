"""While the tests run, arrays are held against the shapes that the annotations of `inncli.types` name.

jaxtyping's own import hook wraps every function, which makes trainings a tenth slower. This one wraps only those whose
annotations name a shape, and of these checks nothing else: types are mypy's matter.
"""

from __future__ import annotations

import inspect
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from typing import Any, get_args, get_type_hints

import jaxtyping  # before `inncli.types`, which looks whether it is there
from beartype import beartype

ROOMS = ("inncli.transforms.", "inncli.metrics.", "inncli.objectives.", "inncli.models.")


def install() -> None:
    """From now on, the modules of ROOMS are imported with checks."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        spec = PathFinder.find_spec(name, path, target) if name.startswith(ROOMS) else None
        if spec is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
        for holder in [module, *filter(inspect.isclass, own)]:
            for name, value in list(vars(holder).items()):
                if isinstance(value, property):
                    setattr(holder, name, property(checked(value.fget)))
                elif inspect.isfunction(value) and value.__module__ == module.__name__:
                    setattr(holder, name, checked(value))


def checked(function):
    """The function with checks of its shapes; itself where its annotations name none.

    Raises:
        NameError: if the module lacks a name of an annotation: that shape would go unchecked.
    """
    hints = get_type_hints(inspect.unwrap(function), include_extras=True)
    shapes = {name: hint if names_a_shape(hint) else Any for name, hint in hints.items()}
    if set(shapes.values()) <= {Any}:
        return function
    signature = inspect.signature(function)
    function.__signature__ = signature.replace(
        parameters=[p.replace(annotation=shapes.get(p.name, Any)) for p in signature.parameters.values()],
        return_annotation=shapes.get("return", Any),
    )
    return jaxtyping.jaxtyped(function, typechecker=beartype)


def names_a_shape(hint: object) -> bool:
    """Whether a type, or a part of it, is an array of a shape."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(names_a_shape(part) for part in get_args(hint))
