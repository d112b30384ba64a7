"""What a config node may hold: the type hints of its `_target_`'s `__init__` are the schema."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from inncli import types
from inncli.config.signatures import signature
from inncli.errors import ConfigError, did_you_mean

NODE_KEYS = frozenset({"_target_", "_partial_"})  # the second stands in yamls of 0.1 to 0.4: see `is_factory`
RANGES: dict[str, tuple[type, types.Range]] = {
    name: get_args(alias) for name, alias in vars(types).items() if hasattr(alias, "__metadata__")
}
PLAIN = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
LARGEST = 2**63 - 1  # of a whole number: what checkpoints and run.json can hold
LISTS = ("list", "tuple", "Sequence")
NAMED = {  # aliases of `types` for a few words: BlockName
    name: ast.parse(f"Literal{list(get_args(alias))}", mode="eval").body
    for name, alias in vars(types).items()
    if get_origin(alias) is Literal
}


def check_node(node: dict[str, Any], where: str, roots: tuple[Path, ...]) -> dict[str, Any]:
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
    checked: dict[str, Any] = {}
    for key, value in node.items():
        place = f"{where}.{key}"
        if key in NODE_KEYS:
            if key == "_partial_" and not isinstance(value, bool):
                raise ConfigError(f"{place}: expected true or false, got {value!r}")
            checked[key] = value
            continue
        parameter = None
        if known is not None:
            if key not in known.parameters and not known.open:
                takes = ", ".join(name for name, p in known.parameters.items() if name in node or p.default is not None)
                raise ConfigError(
                    f"{place} is not a setting of {known.name}"
                    f"{did_you_mean(key, known.parameters) or f'; it takes {takes}'}"
                )
            parameter = known.parameters.get(key)
        hint, default = (parameter.hint, parameter.default) if parameter is not None else (None, None)
        checked[key] = check_value(value, hint, place, roots, default)
    return checked


def check_value(
    value: Any, hint: ast.expr | None, where: str, roots: tuple[Path, ...] = (), default: ast.expr | None = None
) -> Any:
    """The value in its declared type.

    Args:
        value: of a config.
        hint: the type hint of its parameter; None, where there is none, takes any value.
        where: its dotted place in the config, "task.noise".
        roots: folders in which the source of targets is looked for.
        default: of its parameter, an example for the message.

    Raises: ConfigError for a value that does not fit: what was expected, what was got, an example.
    """
    if value == "???":
        raise ConfigError(f"{where} is required; give it as {where}=VALUE")
    if isinstance(value, dict) and "_target_" in value and (hint is None or not _describes_plain(hint)):
        node = check_node(value, where, roots)
        return without_partial(node) if node.get("_partial_") and is_factory(node, hint, roots) else node
    if hint is None:
        return value
    ok, cast = _fit(value, hint)
    if not ok:
        advice = _advice(value, hint, where, default)
        raise ConfigError(f"{where}: expected {_words(hint)}, got {_shown(value)}{advice}")
    return cast


def is_factory(node: dict[str, Any], hint: ast.expr | None, roots: tuple[Path, ...]) -> bool:
    """Whether the hint takes a callable and the node lacks arguments: its owner will call it with them."""
    if hint is None or not any(_is_callable(option) for option in _options(hint)):
        return False
    known = signature(node["_target_"], roots)
    return known is not None and any(p.default is None and name not in node for name, p in known.parameters.items())


def without_partial(node: dict[str, Any]) -> dict[str, Any]:
    """A node without hydra's `_partial_`. Runs and yamls of 0.1 to 0.4 hold it where it follows from the hint."""
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


def _fit(value: Any, hint: ast.expr) -> tuple[bool, object]:
    """Whether a value fits a hint, and the value in that type."""
    if _name(hint) in ("Any", "object"):
        return True, value
    for option in _options(hint):
        ok, cast = _fit_one(value, option)
        if ok:
            return True, cast
    return False, value


def _fit_one(value: Any, hint: ast.expr) -> tuple[bool, object]:
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
            entries = {key: _fit(v, inner[1]) for key, v in value.items()}
            return (
                all(ok for ok, _ in entries.values()) and all(_fit(k, inner[0])[0] for k in value),
                {key: v for key, (_, v) in entries.items()},
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
        if kind == "int" and abs(cast) > LARGEST:
            return False, value
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


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _advice(value: object, hint: ast.expr, where: str, default: ast.expr | None) -> str:
    """What to do next: the nearest choice, quotes, or the default as an example."""
    if isinstance(value, (int, float)) and LARGEST < abs(value) < float("inf"):
        return f"; at most {LARGEST}"
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
