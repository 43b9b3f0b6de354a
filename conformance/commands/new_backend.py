"""``rnnspec new-backend``: write the project of an adapter, which refuses every call until its author goes on."""

from __future__ import annotations

import keyword
import re
import shlex
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import mkdtemp
from typing import Final

import click

from rnnspec.backends import discovery
from rnnspec.conformance.run.files import FileError, written_as
from rnnspec.spec import Operation, operation, resolved
from rnnspec.spec.operation import holds

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_WIDTH: Final = 100


@dataclass(frozen=True)
class Base:
    """A base class of adapters, and the package that its arrays are of."""

    name: str
    module: str
    package: str


BASES: Final[Mapping[str, Base]] = {
    "numpy": Base("Backend", "", "numpy"),
    "torch": Base("TorchLibrary", "rnnspec.backends.torch", "torch"),
    "jax": Base("JaxLibrary", "rnnspec.backends.jax", "jax"),
    "tensorflow": Base("TensorFlowLibrary", "rnnspec.backends.tensorflow", "tensorflow"),
}

_FILES: Final = {
    "pyproject.toml": "pyproject.toml.template",
    "README.md": "README.md.template",
    "src/{package}/__init__.py": "src/__init__.py.template",
    "src/{package}/adapter.py": "src/adapter.py.template",
    "tests/test_adapter.py": "tests/test_adapter.py.template",
    ".github/workflows/validate.yml": "workflow/validate.yml.template",
}


def new_backend(name: str, operations: tuple[str, ...], base: str, parent: Path) -> None:
    """Write the folder ``rnnspec-NAME``, whole or not at all.

    Raises
    ------
    FileError
        If the name is none for a backend, or the folder is there.
    UnknownOperationError
        If there is no such operation.
    """
    if not _NAME.fullmatch(name):
        raise FileError(f"NAME: expected small letters, digits and single hyphens, like my-library, got {name!r}")
    if keyword.iskeyword(name):
        raise FileError(f"NAME: {name} is a keyword of Python; expected another name, like my-{name}")
    if name in discovery.offered().own:
        raise FileError(f"NAME: {name} is rnnspec's own backend; expected another name, like my-{name}")
    chosen = [operation(one) for one in dict.fromkeys(operations)]
    folder = parent / f"rnnspec-{name}"
    if folder.exists():
        raise FileError(f"{folder}: expected a folder that does not exist yet; remove it, or choose another name")
    texts = project(name, chosen, BASES[base])
    with written_as(folder):
        _write(texts, folder)
    for path in texts:
        click.echo(f"wrote {folder / path}")
    there = shlex.quote(str(folder))
    click.echo(f"next: cd {there} && pip install -e '.[test]' && pytest; then write the methods in adapter.py")


def _write(texts: Mapping[str, str], folder: Path) -> None:
    """Write a folder of files, all or nothing."""
    made = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        made.chmod(0o755)
        for path, text in texts.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text, encoding="utf-8")
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def project(name: str, operations: list[Operation], base: Base) -> dict[str, str]:
    """Return the texts of a project's files, by their paths in it."""
    package = f"rnnspec_{name.replace('-', '_')}"
    names = [op.name for op in operations]
    own = base.module == ""
    values = {
        "name": name,
        "package": package,
        "class_name": "".join(part.capitalize() for part in name.split("-")) + "Backend",
        "operations": ", ".join(f"`{one}`" for one in names),
        "operation_names": ", ".join(f'"{one}"' for one in names),
        "dependencies": ", ".join(f'"{one}"' for one in ("rnnspec", base.package)),
        "libraries": f'"{base.package}"',
        "imported": "Backend, Unsupported, only" if own else "Unsupported, only",
        "base_import": "" if own else f"from {base.module} import {base.name}\n",
        "base_class": base.name,
        "methods": "".join(map(_method, operations)).rstrip("\n"),
    }
    templates = files("rnnspec.conformance.commands") / "new_backend_files"
    return {
        path.format(package=package): Template((templates / template).read_text(encoding="utf-8")).substitute(values)
        for path, template in _FILES.items()
    }


def _method(op: Operation) -> str:
    """The method of an operation at its defaults, as source: its refusals are all there, to be taken out one by one."""
    defaults = op.defaults()
    op = resolved(op, defaults)
    inputs = [
        name
        for name, item in op.inputs_for(defaults).items()
        if not item.optional or (item.kind == "float" and item.per_sequence)
    ]
    settings = ", ".join(
        f"{key}={value!r}".replace("'", '"')
        for key, value in defaults.items()
        if holds(op.attributes[key].when, defaults)
    )
    outputs = ", ".join(op.outputs_for(defaults))
    lines = _wrapped(f"@only({settings})") + _wrapped(f"def {op.name}(self, {', '.join(inputs)}):")
    lines += [f'    """Return {outputs}, as a tuple."""', f'    raise Unsupported("{op.name} is not written yet")']
    return "\n" + "".join(f"    {line}\n" for line in lines)


def _wrapped(line: str) -> list[str]:
    """A line, or three of which the one in the middle, indented, has what is in the outer brackets."""
    if len(line) <= _WIDTH:
        return [line]
    start, end = line.index("(") + 1, line.rindex(")")
    inner = textwrap.wrap(line[start:end] + ",", _WIDTH)
    return [line[:start], *(f"    {one}" for one in inner), line[end:]]
