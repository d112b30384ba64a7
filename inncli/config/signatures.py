"""The arguments of a `_target_`, read from its source without importing it.

They are read with `ast`, so that composing a config imports no torch, and an untrusted config runs no code.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from pathlib import Path

from inncli.errors import ConfigError


@dataclass(frozen=True)
class Parameter:
    """One argument of a target: its type hint and its default, each None where there is none."""

    hint: ast.expr | None
    default: ast.expr | None


@dataclass(frozen=True)
class Signature:
    """The arguments that a target takes by keyword. `open` says that it takes any others too (`**kwargs`)."""

    name: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False


# ---- finding the source ------------------------------------------------------------------------------
@functools.lru_cache(maxsize=256)
def _module(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.msg}; mend the file that _target_ names") from None


def _locate(dotted: str, roots: tuple[Path, ...]) -> tuple[Path, list[str], str] | None:
    """The file of the longest prefix of `dotted` that is a module, the names left over, the module's name."""
    parts = dotted.split(".")
    for root in roots:
        for n in range(len(parts), 0, -1):
            stem = root.joinpath(*parts[:n])
            for path in (stem.with_name(stem.name + ".py"), stem / "__init__.py"):
                if path.is_file():
                    # "a.b.__init__" counts levels of a relative import as the file itself does.
                    module = ".".join(parts[:n] + (["__init__"] if path.name == "__init__.py" else []))
                    return path, parts[n:], module
    return None


def _definition(
    dotted: str, roots: tuple[Path, ...], depth: int = 0
) -> tuple[ast.ClassDef | ast.FunctionDef, ast.Module, str] | None:
    """The class or function that `dotted` names, its module's tree and name; imports are followed."""
    found = _locate(dotted, roots)
    if found is None or len(found[1]) != 1 or depth > 8:
        return None
    path, (name,), module = found
    tree = _module(path)
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node, tree, module
    target = _imported(name, tree, module)
    return _definition(target, roots, depth + 1) if target else None


def _imported(name: str, tree: ast.Module, module: str) -> str | None:
    """The dotted name that `from a.b import name` gives `name` in this module."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    start = module.split(".")[: -node.level] if node.level else []
                    return ".".join([*start, *([node.module] if node.module else []), alias.name])
    return None


def signature(dotted: str, roots: tuple[Path, ...]) -> Signature | None:
    """The signature of a class or function.

    Args:
        dotted: its path, "inncli.tasks.toy.ring.Ring".
        roots: folders in which its source is looked for.

    Returns: None if there is no such source.
    Raises: ConfigError for a source that is no valid Python.
    """
    found = _definition(dotted, roots)
    if found is None:
        return None
    node, tree, module = found
    if isinstance(node, ast.FunctionDef):
        return _of_function(node, skip=0)
    return _of_class(node, tree, module, roots)


def _of_class(node: ast.ClassDef, tree: ast.Module, module: str, roots: tuple[Path, ...]) -> Signature:
    init = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
    if init is not None:
        own = _of_function(init, skip=1)
    elif any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        fields = {
            m.target.id: Parameter(m.annotation, m.value)
            for m in node.body
            if isinstance(m, ast.AnnAssign) and isinstance(m.target, ast.Name)
        }
        own = Signature(node.name, fields)
    else:
        own = Signature(node.name, {}, open=True)
    if not own.open:
        return Signature(node.name, own.parameters)
    # `**kwargs`, or no __init__ of its own: the bases take the other arguments.
    merged, still_open = dict(own.parameters), init is not None
    for base in node.bases:
        local = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == ast.unparse(base)), None)
        dotted = _imported(ast.unparse(base), tree, module)
        above = (
            _of_class(local, tree, module, roots)
            if local is not None and local is not node
            else signature(dotted, roots)
            if dotted
            else None
        )
        if above is not None:
            merged = {**above.parameters, **merged}
            still_open = above.open
        elif ast.unparse(base) not in ("ABC", "object", "Protocol", "nn.Module", "torch.nn.Module"):
            still_open = True  # a base whose source is out of reach may take anything
    return Signature(node.name, merged, still_open)


def _of_function(node: ast.FunctionDef, skip: int) -> Signature:
    args = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(args) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [
        *list(zip(args, defaults, strict=True))[skip:],
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    parameters = {arg.arg: Parameter(arg.annotation, default) for arg, default in pairs}
    return Signature(node.name, parameters, open=node.args.kwarg is not None)
