"""The sources of the documentation site: the pages of docs/, one for each operation, and that of the Python API."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from rnnspec.backends import Backend
from rnnspec.backends.discovery import offered
from rnnspec.conformance import interface
from rnnspec.conformance.pages.markdown import table
from rnnspec.conformance.report.implications import laws, refused
from rnnspec.conformance.report.operation import (
    ARRAY_TYPES,
    BATCHES,
    equations_of,
    of_what,
    shape_text,
    sizes_in_words,
    typeset,
)
from rnnspec.conformance.run.files import write_bytes
from rnnspec.spec import Operation, operations, resolved, system
from rnnspec.spec.operation import Attribute, when_text
from rnnspec.spec.printing import notation

OPERATIONS: Final = "operations"
_KATEX: Final = ("katex.min.css", "katex.min.js", "contrib/auto-render.min.js", "fonts")
"""The files that typeset the equations on a page, without a network."""

_LINK: Final = re.compile(r"\[([^\]]*)\]\(((?!https?:|#)[^)\s]+)\)")
_MOVED: Final = {"CONTRIBUTING.md": "contributing.md", "example-adapter/": "example-adapter/README.md"}
"""Targets of links that lie elsewhere on the site."""

_GUIDES: Final = (
    ("For authors of kernels", ("adapters", "python", "ci", "vectors", "repros", "diagnosis")),
    ("For choosing a backend", ("reports", "frameworks", "convert", "benchmarks", "performance")),
    ("For research", ("specification", "gradients", "tolerances", "checks", "sharpness", "faults", "reliability")),
)
"""Pages by the people whom they are for; all others come last."""


def write_site(docs: Path, folder: Path, katex: Path | None) -> list[Path]:
    """Write the sources of the site, and its configuration, into a new folder; return the pages.

    Parameters
    ----------
    docs
        The folder ``docs`` of a checkout.
    folder
        Where to write.
    katex
        The folder ``dist`` of KaTeX, which is copied; without it, equations stay as LaTeX.
    """
    out = folder / "docs"
    shutil.copytree(docs, out)
    pages = {path.name: path for path in sorted(docs.glob("*.md"))}
    written = [_page(out / name, path.read_text("utf-8"), docs) for name, path in pages.items()]
    for name, source in (
        ("index.md", "README.md"),
        ("contributing.md", "CONTRIBUTING.md"),
        ("changes.md", "CHANGELOG.md"),
    ):
        written.append(_page(out / name, (docs.parent / source).read_text("utf-8"), docs))
    plots = _plots((docs / "gradients.md").read_text("utf-8"))
    for op in operations().values():
        written.append(_page(out / OPERATIONS / f"{op.name}.md", operation_page(op, plots.get(op.name, ())), docs))
    written.append(_page(out / "api.md", api_page(), docs))
    if katex is not None:
        _copy(katex, out / "katex")
    write_bytes(out / "equations.js", _SCRIPT.encode())
    write_bytes(out / "names.css", _STYLE.encode())
    write_bytes(folder / "mkdocs.yml", _configuration(list(pages), katex is not None).encode())
    return written


def _page(path: Path, text: str, docs: Path) -> Path:
    """Write a page, whose links go to pages of the site; a link to another file or folder becomes its text."""

    def link(found: re.Match[str]) -> str:
        words, target = found.groups()
        place, _, anchor = target.partition("#")
        place = place.removeprefix("docs/")
        place = _MOVED.get(place.removeprefix("../"), place)
        outside = place.startswith("../") and path.parent.name != OPERATIONS
        if outside or (docs / place).is_dir():
            return f"`{words}`" if "/" in words or "." in words else words
        return f"[{words}]({place}{'#' * bool(anchor)}{anchor})"

    write_bytes(path, _LINK.sub(link, text).encode())
    return path


def operation_page(op: Operation, plots: Sequence[str] = ()) -> str:
    """Return an operation's page: shapes, equations, gradient, laws, refusals, where libraries differ, and sources.

    `plots` are images of it in Markdown, as a page of the site's first folder has them.
    """
    attributes = op.defaults()
    whole = resolved(op, attributes)
    forward, gradient = equations_of(op, system(op, attributes))
    parts = [f"# {op.name}", f"**{op.title}.** {' '.join(op.summary.split())}"]
    parts.append("## Shapes")
    parts.append(table(["size", "what it is"], sizes_in_words(whole, attributes), (1,)))
    inputs, outputs = whole.inputs_for(attributes), whole.outputs_for(attributes)
    rows = [
        (f"`{i.name}`", f"`{shape_text(i.shape)}`", ARRAY_TYPES[i.kind], i.about + " (optional)" * i.optional)
        for i in inputs.values()
    ]
    parts.append(table(["input", "shape", "type", "what it is"], map(_escaped, rows), (1, 2, 3)))
    rows = [(f"`{o.name}`", f"`{shape_text(o.shape)}`", ARRAY_TYPES[o.kind], o.about) for o in outputs.values()]
    parts.append(table(["output", "shape", "type", "what it is"], map(_escaped, rows), (1, 2, 3)))
    if op.attributes:
        parts.append("## Attributes")
        rows = [
            (f"`{a.name}`", f"`{attributes[a.name]}`", a.expected(), f"{a.about}{_only(a)}")
            for a in op.attributes.values()
        ]
        parts.append(table(["attribute", "default", "expected", "what it is"], map(_escaped, rows), (1, 2, 3)))
    parts += ["## Equations", f"{of_what(op).capitalize()}, with the default attributes."]
    parts.append(f"$$\n{typeset(op, attributes, forward)}\n$$")
    if gradient and op.differentiable:
        parts += ["## Gradient", "In vector-Jacobian form: dq is the derivative of the loss with respect to q."]
    elif gradient:
        parts += ["## Derivatives that these equations use"]
    if gradient:
        parts.append(f"$$\n{typeset(op, attributes, gradient)}\n$$")
    elif op.differentiable:
        parts += ["## Gradient", "It has no equations of its own: it is the derivative of the equations above."]
    words = [(f"`{form}`", meaning) for form, meaning in notation((*forward, *gradient)).items()]
    if words:
        parts += ["## Notation", table(["in the specification", "what it means"], map(_escaped, words), (1,))]
    if plots:
        parts += ["## How it behaves", *(plot.replace("](", "](../") for plot in plots)]
        parts.append("[gradients.md](../gradients.md) tells how the plots are made and what they show.")
    if op.has_steps:
        parts.append(BATCHES.format(state=" the state passes it by," if op.unrolls or op.parts else ""))
    known = list(laws(op))
    if known:
        parts += ["## Laws that are checked", table(["law", "what it says"], map(_escaped, known), (1,))]
    parts += ["## Refused", "\n".join(f"- {line}" for line in refused(whole, attributes))]
    differing = list(_known_faults(op.name))
    parts.append("## Where libraries differ")
    parts.append("\n".join(differing) if differing else "No fault of a library is known in this operation.")
    parts.append(
        "[findings.md](../findings.md) shows those of libraries in scripts, and [frameworks.md](../frameworks.md) "
        "which frameworks have the operation themselves."
    )
    parts += ["## Sources", "\n".join(f"- {source}" for source in op.sources)]
    return "\n\n".join(parts) + "\n"


def _plots(page: str) -> dict[str, list[str]]:
    """The images on the page about gradients, by the operations that they show."""
    found: dict[str, list[str]] = {}
    for image, name in re.findall(r"(!\[[^\]]*\]\(gradients/(\w+)\.svg\))", page):
        for operation in _SHOWN_BY[name]:
            found.setdefault(operation, []).append(image)
    return found


_SHOWN_BY: Final = {
    "powers": ("recurrent_power_spectrum",),
    "jacobian": ("state_jacobian", "rnn", "lstm", "gru"),
    "clipping": ("clip_by_value", "clip_by_norm", "clip_by_global_norm"),
    "descent": ("clip_by_norm", "clip_by_global_norm", "sgd_step"),
}
"""The operations that each image of the page about gradients shows."""


def _only(attribute: Attribute) -> str:
    """The settings with which an attribute is one."""
    return f"; only with {when_text(attribute.when)}" if attribute.when else ""


def _escaped(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell.replace("|", "\\|") for cell in row)


def _known_faults(name: str) -> Iterator[str]:
    """The known faults of the adapters in an operation, each once, with the adapters that have it."""
    found: dict[str, list[str]] = {}
    for title, text in _entries():
        for entry in tomllib.loads(text).get("failure", []):
            concerned = entry["operation"]
            if name in ([concerned] if isinstance(concerned, str) else concerned):
                found.setdefault(f"{entry['reason']} <{entry['link']}>", []).append(title)
    for reason, titles in found.items():
        yield f"- {', '.join(dict.fromkeys(titles))}: {reason}"


def _entries() -> Iterator[tuple[str, str]]:
    """The files of known faults: of each framework, in its folder, and of each library, beside its adapter."""
    own = offered()
    modules = {own.entry(name).module.rpartition(".")[2]: name for name in own.own}
    for folder in sorted(files("rnnspec.backends").iterdir(), key=lambda one: one.name):
        for file in sorted(folder.iterdir(), key=lambda one: one.name) if folder.is_dir() else ():
            stem, dot, kind = file.name.rpartition(".")
            if f"{dot}{kind}" == ".toml":
                title = modules.get(stem, stem.replace("_", "-"))
                yield folder.name if stem.startswith("expected_failures") else title, file.read_text("utf-8")


def api_page() -> str:
    """Return the page of the Python interface: each name with its signature and documentation."""
    parts = ["# Python API", "[python.md](python.md) is the guide. Each name is imported from `rnnspec`."]
    for name in interface.__all__:
        parts += _documented(name, getattr(interface, name))
    return "\n\n".join([*parts, *_documented("rnnspec.backends.Backend", Backend)]) + "\n"


def _documented(name: str, item: Any) -> list[str]:
    found = [f"## {name}", _block(f"{name}{inspect.signature(item)}", "python"), _block(inspect.getdoc(item) or "")]
    if isinstance(item, type):
        for own, member in vars(item).items():
            if not own.startswith("_") and (callable(member) or isinstance(member, property | classmethod)):
                function = getattr(item, own) if isinstance(member, classmethod) else member
                signature = "" if isinstance(member, property) else str(inspect.signature(function))
                found.append(f"### {name.rpartition('.')[2]}.{own}")
                found += [_block(f"{own}{signature}", "python"), _block(inspect.getdoc(member) or "")]
    return found


def _block(text: str, language: str = "text") -> str:
    return f"```{language}\n{text}\n```"


def _copy(katex: Path, folder: Path) -> None:
    for name in _KATEX:
        source, target = katex / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)


def _configuration(pages: list[str], katex: bool) -> str:
    """The generator's configuration, which is YAML as JSON is."""
    named = [page for _, several in _GUIDES for page in several]
    guides: list[Any] = [
        {title: [f"{page}.md" for page in several if f"{page}.md" in pages]} for title, several in _GUIDES
    ]
    by_family: dict[str, list[str]] = {}
    for op in operations().values():
        by_family.setdefault(op.family, []).append(f"{OPERATIONS}/{op.name}.md")
    others = [page for page in pages if page.removesuffix(".md") not in named]
    data: Mapping[str, Any] = {
        "site_name": "rnnspec",
        "strict": True,
        "theme": {
            "name": "material",
            "font": False,
            "palette": [
                {"media": f"(prefers-color-scheme: {scheme})", "scheme": name}
                for scheme, name in (("light", "default"), ("dark", "slate"))
            ],
        },
        "plugins": ["search"],
        "use_directory_urls": False,
        "markdown_extensions": [
            "tables", "toc", "admonition", "pymdownx.superfences", {"pymdownx.arithmatex": {"generic": True}},
        ],
        "validation": {"links": {"not_found": "warn", "anchors": "warn", "unrecognized_links": "warn"}},
        "extra_css": ["names.css", *["katex/katex.min.css"] * bool(katex)],
        "extra_javascript": ["katex/katex.min.js", "katex/contrib/auto-render.min.js", "equations.js"] if katex else [],
        "nav": [
            {"Home": "index.md"},
            *guides,
            {"Operations": [{family: places} for family, places in by_family.items()]},
            {"API": "api.md"},
            {"The project": ["contributing.md", "changes.md", *others]},
        ],
    }  # fmt: skip
    return json.dumps(data, indent=2) + "\n"


_SCRIPT: Final = """\
document.addEventListener("DOMContentLoaded", () => {
  const delimiters = [["\\\\[", "\\\\]", true], ["\\\\(", "\\\\)", false]]
    .map(([left, right, display]) => ({ left, right, display }));
  for (const one of document.querySelectorAll(".arithmatex")) renderMathInElement(one, { delimiters });
});
"""

_STYLE: Final = """\
.md-typeset table code { word-break: normal; }
"""
"""A name in a table is not broken: a table that is wider than the page can be moved."""
