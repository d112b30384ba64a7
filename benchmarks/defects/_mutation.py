"""A defect, the code it names and the module that it makes of it.

A defect addresses its code by module and qualified name, and compares syntax trees: spaces, line breaks, comments,
quotes, trailing commas and parentheses that group play no part, so that neither a formatter nor a move within the
tree breaks it. Only the dotted name of the module follows a move, as that of an import does.
"""

from __future__ import annotations

import ast
import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Defect(NamedTuple):
    """One mistake and the test that should notice it.

    Attributes:
        what: the mistake, in words.
        where: `package.module:Class.method` or `package.module`; a test module goes by its file's name alone,
            `test_run:name`. A file that is not Python is addressed by its path, and its text is taken as it stands.
        old: one expression or some consecutive statements, which occur once in the code addressed.
        new: what takes their place: an expression for an expression, else statements, or nothing.
        test: `test_run::name[parameters]`, the node id of a test without its folder.
    """

    what: str
    where: str
    old: str
    new: str
    test: str


class Misaddressed(LookupError):  # noqa: N818 named as its message reads
    """A defect whose code or test is not there, or is there more than once."""


class Place(NamedTuple):
    """`count` nodes from `index` on in a list of a node, or the one node of a field without an index."""

    parent: ast.AST
    field: str
    index: int | None
    count: int


def mutate(defect: Defect, root: Path) -> tuple[Path, str]:
    """The file that the defect is in, and its text with the defect.

    Raises:
        Misaddressed: if the file, the function or the old code is not found exactly once, or the result is no Python.
    """
    if "/" in defect.where:
        return root / defect.where, _with_text_replaced(root / defect.where, defect)
    path, scopes, tree = _addressed(defect.where, root)
    old, new = _parsed(defect)
    places = [place for scope in scopes for place in _places(scope, old)]
    if len(places) != 1:
        raise Misaddressed(f"old code found {len(places)} times in {defect.where}, expected once")
    _put(places[0], new)
    text = ast.unparse(tree)
    try:
        compile(text, path, "exec")
    except SyntaxError as error:
        raise Misaddressed(f"{defect.where} with the defect is no Python: {error}") from None
    return path, text


def elsewhere(defect: Defect, root: Path) -> list[str]:
    """Addresses at which a defect that lost its code would find it: where a module or a function went."""
    package, name = defect.where.partition(".")[0], defect.where.partition(":")[2]
    found = []
    for path in sorted((root / package).rglob("*.py")):
        if name.rpartition(".")[2] in path.read_text(encoding="utf-8"):  # few are: the others need no tree
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            where = f"{module}:{name}" if name else module
            with contextlib.suppress(Misaddressed):
                mutate(defect._replace(where=where), root)
                found.append(where)
    return found


def plain(path: Path) -> str:
    """The text of a module as `mutate` would write it without a defect; other files as they are."""
    text = path.read_text(encoding="utf-8")
    return ast.unparse(ast.parse(text)) if path.suffix == ".py" else text


def file_of_test(test: str, root: Path) -> Path:
    """The file of `test_run::name` or `test_run`, wherever it lies below tests.

    Raises:
        Misaddressed: if no file or several have that name.
    """
    name = test.partition("::")[0]
    found = list((root / "tests").rglob(f"{name}.py"))
    if len(found) != 1:
        raise Misaddressed(f"{len(found)} files {name}.py in tests, expected one")
    return found[0]


def node_id(test: str, root: Path) -> str:
    """The node id by which pytest knows the test, relative to the root.

    Raises:
        Misaddressed: if the file is not there once, or holds no such function.
    """
    path = file_of_test(test, root)
    below = test.partition("::")[2]
    if not _definitions(_tree_of_tests(path.read_text(encoding="utf-8")), below.partition("[")[0].split("::")):
        raise Misaddressed(f"no test {below} in {path.name}")
    return f"{path.relative_to(root).as_posix()}::{below}"


@functools.cache
def _tree_of_tests(text: str) -> ast.Module:
    """The tree of a file of tests, which nobody changes; many defects name tests of the same file."""
    return ast.parse(text)


def _addressed(where: str, root: Path) -> tuple[Path, list[ast.AST], ast.Module]:
    """The file of an address, the nodes that it names, and the tree of the module that they belong to."""
    module, _, name = where.partition(":")
    if module.startswith("test_"):
        path = file_of_test(module, root)
    else:
        stem = root.joinpath(*module.split("."))
        path = next((file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()), None)
    if path is None:
        raise Misaddressed(f"no module {module}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes = _definitions(tree, name.split(".")) if name else [tree]
    if not scopes:
        raise Misaddressed(f"no {name} in {module}")
    return path, scopes, tree


def _definitions(node: ast.AST, names: list[str]) -> list[ast.AST]:
    """The functions and classes of a qualified name below a node; several where one is defined by cases."""
    if not names:
        return [node]
    found = []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found += _definitions(child, names) if isinstance(child, ast.stmt) else []
        elif child.name == names[0]:
            found += _definitions(child, names[1:])
    return found


def _parsed(defect: Defect) -> tuple[list[ast.AST], list[ast.AST]]:
    """Old and new code: two expressions, else two lists of statements."""
    try:
        both = [ast.parse(f"(\n{text}\n)", mode="eval").body for text in (defect.old, defect.new) if text.strip()]
        if len(both) == 2:
            return both[:1], both[1:]
    except SyntaxError:
        pass  # statements then
    try:
        old, new = ast.parse(defect.old).body, ast.parse(defect.new).body
    except SyntaxError as error:
        raise Misaddressed(f"neither two expressions nor statements: {error}") from None
    if not old:
        raise Misaddressed("no old code")
    return old, new


def _places(scope: ast.AST, old: list[ast.AST]) -> Iterator[Place]:
    """Where the code occurs below a node."""
    wanted = [ast.dump(node) for node in old]
    for parent in ast.walk(scope):
        for field, value in ast.iter_fields(parent):
            nodes = value if isinstance(value, list) else [value]
            for i in range(len(nodes) - len(old) + 1):
                part = nodes[i : i + len(old)]
                # Types first: to dump every subtree of every node would take a minute.
                alike = all(type(a) is type(b) for a, b in zip(part, old, strict=True))
                if alike and [ast.dump(node) for node in part] == wanted:
                    yield Place(parent, field, i if nodes is value else None, len(old))


def _put(place: Place, new: list[ast.AST]) -> None:
    """Puts nodes in a place; a block that would be empty passes."""
    if place.index is None:
        setattr(place.parent, place.field, new[0])
        return
    nodes = getattr(place.parent, place.field)
    nodes[place.index : place.index + place.count] = new
    if not nodes and place.field != "orelse":
        nodes.append(ast.Pass())


def _with_text_replaced(path: Path, defect: Defect) -> str:
    if not path.is_file():
        raise Misaddressed(f"no file {defect.where}")
    text = path.read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        raise Misaddressed(f"old text found {text.count(defect.old)} times in {defect.where}, expected once")
    return text.replace(defect.old, defect.new)
