"""A function of this package as source that stands alone."""

from __future__ import annotations

import ast
import inspect
import sys
from types import FunctionType, ModuleType
from typing import Any

from rnnspec.backends.contract import Call
from rnnspec.backends.native import Native

PACKAGE = __package__


def source_lines(call: Call, native: Native) -> list[str]:
    """Return the native function's own source, with all that it needs, and its call."""
    found = {"torch": ""}  # the script has it
    function = native.function
    assert isinstance(function, FunctionType)
    _collect(function.__name__, function, sys.modules[function.__module__], found)
    attributes = "".join(f", {name}={value!r}" for name, value in call.attributes.items())
    del found["torch"]
    blocks = sorted(found.values(), key=lambda text: not text.startswith("from "))
    return [*"\n".join(blocks).splitlines(), f"results = {function.__name__}(**t{attributes})"]


def _collect(name: str, value: Any, home: ModuleType, found: dict[str, str]) -> None:
    """Add the definition of `name` in the module `home`, after those of all names that it reads."""
    if name in found:
        return
    if isinstance(value, ModuleType):
        parent, _, last = value.__name__.rpartition(".")
        found[name] = f"from {parent} import {last}" if parent else f"import {last}"
        return
    defined_in = getattr(value, "__module__", home.__name__)
    if callable(value) and not str(defined_in).startswith(PACKAGE):
        found[name] = f"from {defined_in} import {name}"
        return
    home = sys.modules[value.__module__] if isinstance(value, FunctionType) else home
    node = _Bare().visit(_definition(name, home))
    found[name] = ""  # a function may read itself
    for read in ast.walk(node):
        if isinstance(read, ast.Name) and read.id != name and hasattr(home, read.id):
            _collect(read.id, getattr(home, read.id), home, found)
    del found[name]
    found[name] = ast.unparse(node)


def _definition(name: str, home: ModuleType) -> ast.stmt:
    """Return the statement of a module that defines a name."""
    for node in ast.parse(inspect.getsource(home)).body:
        match node:
            case ast.FunctionDef(name=defined) if defined == name:
                return node
            case ast.AnnAssign(target=ast.Name(id=defined)) | ast.Assign(targets=[ast.Name(id=defined)]) if (
                defined == name
            ):
                return node
    raise LookupError(f"{home.__name__} imports {name}: expected it to be defined there")


class _Bare(ast.NodeTransformer):
    """Without types, decorators and docstrings."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.decorator_list, node.returns = [], None
        if ast.get_docstring(node) is not None:
            del node.body[0]
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        assert node.value is not None
        return ast.copy_location(ast.Assign([node.target], node.value), node)
