"""Docstrings against signatures: every public function of the project documents exactly its arguments."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_imports import module_name, source_files

SECTIONS = r"Args|Attributes|Returns|Yields|Raises|Warns|Examples?|Notes?|References?"


def public_definitions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef | ast.ClassDef, ast.FunctionDef | None]]:
    """Qualified name, documented node and the function whose arguments it documents."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            found.append((node.name, node, node))
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            init = next((item for item in methods if item.name == "__init__"), None)
            found.append((node.name, node, init))
            found += [
                (f"{node.name}.{item.name}", item, item)
                for item in methods
                if not item.name.startswith("_") or item.name == "__call__"
            ]
    return found


def argument_names(function: ast.FunctionDef) -> list[str]:
    spec = function.args
    every = [*spec.posonlyargs, *spec.args, *([spec.vararg] if spec.vararg else []), *spec.kwonlyargs]
    every += [spec.kwarg] if spec.kwarg else []
    names = [item.arg for item in every]
    decorators = {decorator.id for decorator in function.decorator_list if isinstance(decorator, ast.Name)}
    if names and names[0] in ("self", "cls") and "staticmethod" not in decorators:
        names = names[1:]
    return [name for name in names if not name.startswith("_")]


def is_exempt(function: ast.FunctionDef) -> bool:
    """Setters and overloads share the documentation of what they belong to."""
    names = {ast.unparse(decorator) for decorator in function.decorator_list}
    return any(name.endswith((".setter", "overload")) for name in names)


def inherited_documentation() -> dict[str, set[str]]:
    """By class of the project: methods that a base class of it documents, as `help` shows them."""
    bases: dict[str, list[str]] = {}
    documented: dict[str, set[str]] = {}
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases]
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                documented[node.name] = {item.name for item in methods if ast.get_docstring(item)}
    return {name: set().union(*(documented.get(base, set()) for base in bases[name])) for name in bases}


INHERITED = inherited_documentation()


def documented_names(docstring: str) -> list[str] | None:
    match = re.search(rf"^Args:\n(.*?)(?=^(?:{SECTIONS}):\n|\Z)", docstring, re.M | re.S)
    if match is None:
        return None
    body = match.group(1)
    indent = len(body) - len(body.lstrip(" "))
    names = []
    for line in body.splitlines():
        entry = re.match(rf" {{{indent}}}(\S[^:]*?)(?: \(.*?\))?:(?:\s|$)", line)
        if entry and not line[indent : indent + 1].isspace():
            names += [name.strip().lstrip("*") for name in re.split(r",|/", entry.group(1))]
    return names


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_public_names_are_documented(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    faults = []
    if not ast.get_docstring(tree):
        faults.append("the module has no docstring")
    for name, node, function in public_definitions(tree):
        if function is not None and is_exempt(function):
            continue
        docstring = ast.get_docstring(node)
        owner, _, method = name.rpartition(".")
        if method in INHERITED.get(owner, ()) and (not docstring or "Args:" not in docstring):
            continue
        inside = ast.get_docstring(function) if function is not None and function is not node else None
        if not docstring:
            faults.append(f"{name} has no docstring")
            continue
        if function is None:
            continue
        wanted = argument_names(function)
        given = documented_names(docstring)
        if given is None and inside:
            given = documented_names(inside)
        if sorted(given or []) != sorted(wanted):
            faults.append(f"{name} documents {given or 'no arguments'}, and takes {wanted}")
    assert not faults, f"{module_name(path)}:\n" + "\n".join(faults)


def test_methods_take_their_documentation_from_the_class_that_they_belong_to():
    assert {"step", "validate", "export"} <= INHERITED["MusicTask"] and not INHERITED["Task"]


def test_the_reader_of_docstrings_sees_what_is_there():
    docstring = (
        "Do.\n\nArgs:\n    a: First.\n        Note: more: of it.\n    b (int): Second.\n\nReturns:\n    c: No.\n"
    )
    assert documented_names(docstring) == ["a", "b"]
    assert documented_names("Do.") is None
    function = ast.parse("class A:\n    def f(self, a, /, b, *c, d=1, **e): ...").body[0].body[0]
    assert argument_names(function) == ["a", "b", "c", "d", "e"]
