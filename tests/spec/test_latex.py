"""The LaTeX of every operation compiles, and says what the equations say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from rnnspec.conformance.cli import main
from rnnspec.spec import operation, operations, resolved, system
from rnnspec.spec.ranks import ranks_of
from rnnspec.spec.tracing import trace

KATEX = """
const katex = require("katex");
const wrong = [];
for (const [name, text] of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
  try { katex.renderToString(text, { displayMode: true, strict: "error", throwOnError: true }); }
  catch (error) { wrong.push([name, error.message]); }
}
console.log(JSON.stringify(wrong));
"""


def shown(name: str, *settings: str) -> str:
    """The output of `show --latex`."""
    done = CliRunner().invoke(main, ["show", name, "--latex", *(f"--set={setting}" for setting in settings)])
    assert done.exit_code == 0, done.output
    return done.stdout


def blocks(text: str) -> list[str]:
    return re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", text, re.DOTALL)


def settings_of(name: str) -> Iterator[tuple[str, ...]]:
    """The defaults, and each other value of each attribute, with what gives it a meaning."""
    yield ()
    for attribute in operation(name).attributes.values():
        needed = [(key, one[0] if isinstance(one, list | tuple) else one) for key, one in attribute.when.items()]
        for value in attribute.values or ():
            many = (value,) * len(attribute.functions) if attribute.is_tuple else (value,)
            settings = [*needed, (attribute.name, ",".join(map(str, many)))]
            yield tuple(f"{key}={1 if text == 'number' else text}" for key, text in settings)


@pytest.fixture(scope="module")
def katex() -> Any:
    """Return a function that gives KaTeX's errors."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here, which runs KaTeX")
    if subprocess.run([node, "-e", "require('katex')"], capture_output=True).returncode:
        pytest.skip("node finds no KaTeX here: npm install katex, and NODE_PATH with the folder node_modules")

    def errors(texts: list[tuple[str, str]]) -> list[list[str]]:
        done = subprocess.run([node, "-e", KATEX], input=json.dumps(texts), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        found: list[list[str]] = json.loads(done.stdout)
        return found

    return errors


def test_every_operation_compiles(katex: Any) -> None:
    texts = []
    for name in operations():
        for settings in settings_of(name):
            found = re.split(r"(?<=\\end\{align\*\})\n", shown(name, *settings))[:-1]
            texts += [(f"{name} {settings}", text) for text in found]
    assert {name.split()[0] for name, _ in texts} == set(operations())
    assert len(texts) > 3 * len(operations())
    assert katex(texts) == []


def test_what_does_not_compile_would_be_noticed(katex: Any) -> None:
    assert katex([("right", "a"), ("wrong", r"\begin{align*} a")]) != []


@pytest.mark.parametrize("name", operations())
def test_no_block_is_empty_and_nothing_is_left_of_python(name: str) -> None:
    found = blocks(shown(name))
    assert 1 <= len(found) <= 2
    for block in found:
        assert all("&=" in line for line in block.split("\\\\\n"))
        assert not re.search(r"\[|\]|\*\*|(?<![\\a-z])\binf\b", block), block


@pytest.mark.parametrize("name", operations())
def test_the_axes_of_quantities_are_those_of_their_values(name: str) -> None:
    """As the equations themselves give them, in a call in which no two sizes are equal."""
    from rnnspec.conformance.cases import Case

    op = operation(name)
    sizes = dict(zip(op.sizes, (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13), strict=False))
    case = Case(name, "float64", {key: size for key, size in sizes.items() if key not in ("G", "n")}, op.defaults())
    case = case.with_at_least(**case.spec.at_least)
    attributes = case.attributes
    rules = system(op, attributes)
    ranks = ranks_of(resolved(op, attributes), attributes, rules)
    cotangents = case.given_cotangents if rules.gradient and op.differentiable else None
    found = trace(name, dict(case.given.inputs), attributes, cotangents=cotangents)
    assert found
    for one in found:
        assert ranks[one.name] == len(one.index) + getattr(one.value, "ndim", 0), one.name


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("luong_decoder", r"e_{t,j} &= h_{t}^\top \left(W_{\mathrm{a}} \mathrm{annotations}_{j}\right)"),
        ("lstm", r"h_{\mathrm{final}} &= h_{n-1}"),
        ("lstm", r"h_{-1} &= h_{\mathrm{initial}}"),
        ("seq2seq", r"h_{\mathrm{final}} &= \mathrm{decoder}_{\mathrm{h},U-1}"),
        ("gru", r"\mathrm{n}_{t} &= \tanh\left(a_{\mathrm{n},t}\right)"),
        ("gru", r"\mathrm{d}h_{\mathrm{after},n-1} &= \mathrm{d}h_{\mathrm{final}}"),
        ("gru_cell", r"h &= \left(1 - z\right) \odot \mathrm{n} + z \odot h_{\mathrm{prev}}"),
        ("crf_viterbi", r"\mathrm{transitions}_{i,\mathrm{path}_{t+1}}"),
        ("cross_entropy", r"\mathrm{weighed}_{b,t} &= e_{b,t} "),
        ("ctc_loss", r"\mathrm{label}_{t-1,u-1} & u > 0 \land \mathrm{labels}_{u} \neq \mathrm{labels}_{u-1} \\"),
        ("ctc_loss", r"\mathrm{gap}_{n-1,\mathrm{label\,lengths}}"),
        ("crf_entropy", r"\mathrm{log\,partition} &="),
        ("adam_step", r"\mathrm{divisor} &= \sqrt{\frac{v_{\mathrm{next}}}{\mathrm{seen}_{2}}} + 10^{-8}"),
        ("lstm", r"c_{t} &= f_{t} \odot c_{\mathrm{prev},t} + i_{t} \odot g_{t}"),
    ],
)
def test_lines_as_a_person_would_write_them(name: str, line: str) -> None:
    assert line in shown(name)


def test_numbers_are_multiplied_without_a_sign() -> None:
    assert r"\odot" not in "".join(blocks(shown("crf_viterbi")))
    weighted = next(line for line in shown("luong_decoder").splitlines() if r"\mathrm{context}_{t} &=" in line)
    assert r"\mathrm{weights}_{t,j} \, \mathrm{annotations}_{j}" in weighted


def test_inner_levels_stand_after_what_they_use() -> None:
    lines = [line.partition(" &=")[0] for line in blocks(shown("nested_lstm"))[0].splitlines()]
    for one, other in [
        ("u_{t}", r"a_{\mathrm{i},t,0}"),
        (r"a_{\mathrm{i},t,0}", r"a_{\mathrm{i},t,m}"),
        ("q_{t,m}", "v_{t,M}"),
    ]:
        assert lines.index(one) < lines.index(other)
