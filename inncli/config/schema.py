"""What a config node may hold, read from the source of its `_target_` without importing it.

The type hints of `__init__` are the schema. Reading them with `ast` keeps torch out of
composition, and code out of the hands of a config that someone else wrote.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args, get_origin

from inncli import types
from inncli.errors import ConfigError, did_you_mean

NODE_KEYS = frozenset({"_target_", "_partial_"})  # no yaml needs the second: see `is_factory`
RANGES = {name: get_args(alias) for name, alias in vars(types).items() if hasattr(alias, "__metadata__")}
PLAIN = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
LISTS = ("list", "tuple", "Sequence")
NAMED = {  # aliases of `types` for a few words: BlockName
    name: ast.parse(f"Literal{list(get_args(alias))}", mode="eval").body
    for name, alias in vars(types).items()
    if get_origin(alias) is Literal
}


@dataclass(frozen=True)
class Parameter:
    """One argument of a target: its hint (None where there is none) and whether a default stands behind it."""

    hint: ast.expr | None
    default: ast.expr | None


@dataclass(frozen=True)
class Signature:
    """The arguments that a target takes by keyword; `open` if it takes any others too (`**kwargs`)."""

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


def _definition(dotted: str, roots: tuple[Path, ...], depth: int = 0) -> tuple[ast.AST, ast.Module, str] | None:
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
    """The signature of a class or function; None where no source is found under `roots`."""
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
    # `**kwargs`, or no __init__ of its own: what is left over goes to the bases.
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
    pairs = [*list(zip(args, defaults))[skip:], *zip(node.args.kwonlyargs, node.args.kw_defaults)]
    parameters = {arg.arg: Parameter(arg.annotation, default) for arg, default in pairs}
    return Signature(node.name, parameters, open=node.args.kwarg is not None)


# ---- holding a node against it -----------------------------------------------------------------------
def check_node(node: dict, where: str, roots: tuple[Path, ...]) -> dict:
    """A copy of a `_target_` node with every key and value checked, numbers in their declared type.

    Args:
        node: a plain dict with `_target_`; values may be nodes themselves.
        where: its dotted place in the config, "task".
        roots: folders in which the targets' source is looked for.

    Raises: ConfigError on an unknown key, a value of the wrong type or out of range, a `???`.
    """
    target = node["_target_"]
    known = signature(target, roots)
    if known is None and target.split(".")[0] == "inncli":
        raise ConfigError(
            f"{where}._target_: expected a class of inncli, got {target!r}, which does not exist; "
            "was the run made by another version of inn?"
        )
    checked = {}
    for key, value in node.items():
        place = f"{where}.{key}"
        if key in NODE_KEYS:
            if key == "_partial_" and not isinstance(value, bool):
                raise ConfigError(f"{place}: expected true or false, got {value!r}")
            checked[key] = value
            continue
        hint = default = None
        if known is not None:
            if key not in known.parameters and not known.open:
                takes = ", ".join(
                    name
                    for name, parameter in known.parameters.items()
                    if name in node or parameter.default is not None
                )
                raise ConfigError(
                    f"{place} is not a setting of {known.name}"
                    f"{did_you_mean(key, known.parameters) or f'; it takes {takes}'}"
                )
            parameter = known.parameters.get(key)
            hint, default = (parameter.hint, parameter.default) if parameter else (None, None)
        checked[key] = check_value(value, hint, place, roots, default)
    return checked


def check_value(
    value, hint: ast.expr | None, where: str, roots: tuple[Path, ...] = (), default: ast.expr | None = None
):
    """The value in its declared type, or a ConfigError: expected, got, an example."""
    if value == "???":
        raise ConfigError(f"{where} is required; give it as {where}=VALUE")
    if isinstance(value, dict) and "_target_" in value and (hint is None or not _describes_plain(hint)):
        node = check_node(value, where, roots)
        return without_partial(node) if node.get("_partial_") and is_factory(node, hint, roots) else node
    ok, cast = _fit(value, hint)
    if not ok:
        advice = _advice(value, hint, where, default)
        raise ConfigError(f"{where}: expected {_words(hint)}, got {_shown(value)}{advice}")
    return cast


def is_factory(node: dict, hint: ast.expr | None, roots: tuple[Path, ...]) -> bool:
    """Whether a node that lacks arguments stands where the hint takes a callable: its owner calls it with the rest."""
    if hint is None or not any(_is_callable(option) for option in _options(hint)):
        return False
    known = signature(node["_target_"], roots)
    return known is not None and any(p.default is None and name not in node for name, p in known.parameters.items())


def without_partial(node: dict) -> dict:
    """A node without hydra's `_partial_`, which runs and yamls of 0.1 to 0.4 say where it follows from the hint."""
    return {key: value for key, value in node.items() if key != "_partial_"}


def parse_hint(text: str) -> ast.expr:
    """A hint written as text, `"int | None"`."""
    return ast.parse(text, mode="eval").body


def _options(hint: ast.expr) -> list[ast.expr]:
    """The members of a union; the hint alone where it is none."""
    if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
        return _options(parse_hint(hint.value))
    if _name(hint) in NAMED:
        return [NAMED[_name(hint)]]
    if isinstance(hint, ast.BinOp) and isinstance(hint.op, ast.BitOr):
        return [*_options(hint.left), *_options(hint.right)]
    if isinstance(hint, ast.Subscript) and _name(hint.value) in ("Optional", "Union"):
        inner = hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]
        none = [ast.Constant(None)] if _name(hint.value) == "Optional" else []
        return [o for i in inner for o in _options(i)] + none
    return [hint]


def _name(hint: ast.expr) -> str:
    return ast.unparse(hint).split(".")[-1]


def _fit(value, hint: ast.expr | None) -> tuple[bool, object]:
    """Whether a value fits a hint, and the value in that type."""
    if hint is None or _name(hint) in ("Any", "object"):
        return True, value
    for option in _options(hint):
        ok, cast = _fit_one(value, option)
        if ok:
            return True, cast
    return False, value


def _fit_one(value, hint: ast.expr) -> tuple[bool, object]:
    if isinstance(hint, ast.Constant) and hint.value is None:
        return value is None, None
    if isinstance(hint, ast.Subscript):
        head = _name(hint.value)
        inner = hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]
        if head == "Literal":
            return value in [ast.literal_eval(i) for i in inner], value
        if head in LISTS and isinstance(value, (list, tuple)):
            fits = [_fit(v, inner[0]) for v in value]
            return all(ok for ok, _ in fits), [v for _, v in fits]
        if head in ("dict", "Mapping") and isinstance(value, dict):
            fits = {key: _fit(v, inner[1]) for key, v in value.items()}
            return (
                all(ok for ok, _ in fits.values()) and all(_fit(k, inner[0])[0] for k in value),
                {key: v for key, (_, v) in fits.items()},
            )
        return False, value
    name = _name(hint)
    base, within = RANGES.get(name, (None, None))
    kind = base.__name__ if base is not None else name
    if kind == "str":
        return isinstance(value, str), value
    if kind == "bool":
        return isinstance(value, bool), value
    if kind in ("int", "float") and isinstance(value, (int, float)) and not isinstance(value, bool):
        # 1e5 is how people write 100000, and 5 how they write 5.0.
        if kind == "int" and value != value // 1:
            return False, value
        cast = int(value) if kind == "int" else float(value)
        return within is None or cast in within, cast
    if kind in LISTS:
        return isinstance(value, (list, tuple)), value
    return kind == "dict" and isinstance(value, dict), value


def _describes_plain(hint: ast.expr) -> bool:
    """Whether every member of the hint is plain data, so that a built object can't stand there."""

    def plain(option: ast.expr) -> bool:
        head = _name(option.value) if isinstance(option, ast.Subscript) else _name(option)
        return head in PLAIN or head in RANGES or head in (*LISTS, "dict", "Mapping", "Literal", "None")

    return all(plain(option) for option in _options(hint))


def _is_callable(hint: ast.expr) -> bool:
    return _name(hint.value if isinstance(hint, ast.Subscript) else hint) == "Callable"


def _words(hint: ast.expr) -> str:
    options = _options(hint)
    if any(isinstance(option, ast.Subscript) and _name(option.value) == "Literal" for option in options):
        options = [option for option in options if not _is_callable(option)]  # what has a name is chosen by it
    return " or ".join(_words_one(option) for option in options)


def _words_one(hint: ast.expr) -> str:
    if isinstance(hint, ast.Constant) and hint.value is None:
        return "null"
    if isinstance(hint, ast.Subscript):
        head = _name(hint.value)
        inner = hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]
        if head == "Literal":
            return " or ".join(str(ast.literal_eval(i)) for i in inner)
        if head in LISTS:
            return f"a list, each entry {_words(inner[0])}"
        if head in ("dict", "Mapping"):
            return f"a mapping {{name: value}}, each value {_words(inner[1])}"
    name = _name(hint)
    if name in RANGES:
        return RANGES[name][1].words
    if name in LISTS:
        return "a list"
    if name == "dict":
        return "a mapping {name: value}"
    return PLAIN.get(name, "a node with _target_")


def _shown(value) -> str:
    text = "null" if value is None else repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _advice(value, hint: ast.expr, where: str, default: ast.expr | None) -> str:
    """What to do next: the nearest choice, quotes, or the default as an example."""
    choices = [
        ast.literal_eval(i)
        for option in _options(hint)
        if isinstance(option, ast.Subscript) and _name(option.value) == "Literal"
        for i in (option.slice.elts if isinstance(option.slice, ast.Tuple) else [option.slice])
    ]
    if choices and isinstance(value, str):
        return did_you_mean(value, [str(c) for c in choices])
    entries = value if isinstance(value, list) else [value]
    texts = [str(entry) for entry in entries]
    quotable = not choices and all(type(entry) in (int, float, str) for entry in entries)
    if quotable and _fit(texts if entries is value else texts[0], hint)[0]:
        quoted = ",".join(f'"{text}"' for text in texts)
        return f"; quote it: '{where}={f'[{quoted}]' if entries is value else quoted}'"
    try:
        example = ast.literal_eval(default) if default is not None else None
    except ValueError:
        return ""
    return f"; for example {where}={example}" if isinstance(example, (int, float, str)) else ""
