"""Printing of equations as text for a terminal, from the tree that is evaluated; `rnnspec.spec.latex` typesets them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from rnnspec.spec.language import COMPARISONS, Equation, indices_of
from rnnspec.spec.tree import transform
from rnnspec.spec.vocabulary import REDUCERS


def to_text(node: ast.expr) -> str:
    """Print an expression in the equation language itself."""

    def visit(inner: ast.expr) -> ast.expr:
        match inner:
            case ast.Call(
                func=ast.Name(id=name), args=[*leading, ast.GeneratorExp(elt=element, generators=[loop])]
            ) if name in REDUCERS:
                terms = f"{ast.unparse(element)} for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}"
                # ast.unparse would put a second pair of parentheses around a generator that stands alone.
                first = "".join(f"{ast.unparse(one)}, " for one in leading)
                return ast.Name(f"{name}({first}({terms}))" if leading else f"{name}({terms})")
            case ast.Subscript(value=value, slice=index):
                # It would also put parentheses around several indices.
                return ast.Name(f"{ast.unparse(value)}[{', '.join(map(ast.unparse, indices_of(index)))}]")
        return inner

    return ast.unparse(transform(node, visit))


def equation_text(equation: Equation) -> str:
    """Print an equation in the equation language itself."""
    return f"{equation.left} = {to_text(as_read(equation))}"


def as_read(equation: Equation) -> ast.expr:
    """The value of an equation as a person would write it: what parts and attributes put into it is worked out.

    A condition that always holds, or never, is left out: an index is never negative where it is a letter, and a part's
    condition, as of attention whether a query sees a key, may be none in a given call. An index ``t + 1 - 1`` is ``t``.
    """
    letters = {index.id for index in equation.indices if isinstance(index, ast.Name)}

    def visit(node: ast.expr) -> ast.expr:
        match node:
            case ast.IfExp(
                test=ast.Compare(left=ast.Name(id=letter), ops=[ast.GtE()], comparators=[ast.Constant(value=0)]),
                body=body,
            ) if letter in letters:
                return body
            case ast.IfExp(test=test, body=body, orelse=other) if (holds := _settled(test)) is not None:
                return body if holds else other
            case ast.IfExp(test=test, body=ast.Compare() | ast.BoolOp() as body, orelse=other) if (
                _settled(other) is False
            ):
                return ast.BoolOp(ast.And(), [test, body])
            case ast.Subscript(value=value, slice=index):
                indices = [summed(one) for one in indices_of(index)]
                return ast.Subscript(value, indices[0] if len(indices) == 1 else ast.Tuple(indices))
        return node

    return transform(equation.value, visit)


def summed(node: ast.expr) -> ast.expr:
    """A whole number, such as an index, with the numbers at its end added up."""
    number, rest = 0, node
    while isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Add | ast.Sub):
        match rest.right:
            case ast.Constant(value=int(more)):
                number += more if isinstance(rest.op, ast.Add) else -more
                rest = rest.left
            case _:
                break
    if isinstance(rest, ast.Constant) and isinstance(rest.value, int):
        return ast.Constant(rest.value + number)
    if number == 0:
        return rest
    return ast.BinOp(rest, ast.Add() if number > 0 else ast.Sub(), ast.Constant(abs(number)))


def _settled(test: ast.expr) -> bool | None:
    """Whether a comparison of two numbers holds; None of any other condition."""
    match test:
        case ast.Compare(
            left=ast.Constant(value=int() | float() as one),
            ops=[operator],
            comparators=[ast.Constant(value=int() | float() as other)],
        ):
            return bool(COMPARISONS[type(operator)](one, other))
    return None


def reading_order(
    equations: Sequence[Equation], others: Iterable[Equation] = (), sizes: Collection[str] = ("n",)
) -> tuple[Equation, ...]:
    """Return the equations, each after those that it uses and results last, otherwise in the given order.

    A result is a quantity that no equation uses, neither these nor the `others`. A use at a neighbouring step counts
    where the other equation holds at one place alone, as ``h[-1] = h0``: the recurrence begins there. The recurrence
    closes at the others. An equation that holds everywhere follows those of the same quantity at one place. `sizes`
    are the names that are no letters of an index.
    """
    every = (*equations, *others)
    # Where the gate n of each step has an index, n alone is the number of steps.
    alone = set(sizes) & {equation.target for equation in every if equation.indices}
    used = {name for equation in every for name in _used(equation, alone)}
    begins = {id(equation): None in equation.letters(sizes) for equation in equations}
    left = sorted(equations, key=lambda equation: equation.target not in used)
    above = {id(equation): _above(equation, left, begins, sizes, alone) for equation in equations}
    ordered: list[Equation] = []
    while left:
        waiting = {id(equation) for equation in left}
        free = (one for one in left if not above[id(one)] & waiting)
        chosen = next(free, left[0])
        left.remove(chosen)
        ordered.append(chosen)
    return tuple(ordered)


def _above(
    equation: Equation,
    every: Iterable[Equation],
    begins: Mapping[int, bool],
    sizes: Collection[str],
    alone: Collection[str],
) -> set[int]:
    """The equations that are to stand above this one, each by its identity."""
    here, used = set(_used_here(equation, sizes, alone)), set(_used(equation, alone))
    return {
        id(other)
        for other in every
        if other is not equation
        and (
            (other.target in here and other.target != equation.target)
            or (other.target in used and begins[id(other)] and other.target != equation.target)
            or (other.target == equation.target and begins[id(other)] and not begins[id(equation)])
        )
    }


def needed(equations: Iterable[Equation], outputs: Iterable[str]) -> tuple[Equation, ...]:
    """Return the equations that the outputs depend on, directly or through others."""
    every = tuple(equations)
    found: set[str] = set()
    wanted = set(outputs)
    while wanted:
        found |= wanted
        names = {name for one in every if one.target in wanted for name in _used(one)}
        wanted = names - found
    return tuple(one for one in every if one.target in found)


def notation(equations: Iterable[Equation]) -> dict[str, str]:
    """Return the forms of the language in these equations and their meanings, in the order of `MEANINGS`."""
    used: set[str] = set()
    for equation in equations:
        for node in ast.walk(equation.value):
            match node:
                case ast.Call(func=ast.Name(id=name), args=arguments):
                    used.add(f"{name}(…)" if any(isinstance(one, ast.GeneratorExp) for one in arguments) else name)
                case ast.BinOp(op=operator):
                    used.add(type(operator).__name__)
                case ast.Attribute() | ast.IfExp():
                    used.add(type(node).__name__)
    return {form: meaning for key, (form, meaning) in MEANINGS.items() if key in used}


def _used(equation: Equation, alone: Collection[str] = ()) -> Iterator[str]:
    """Quantities that an equation uses, without index letters, even if a gate has the same name.

    The names `alone` are sizes where they have no index.
    """
    return (name for name, indices in _references(equation) if indices or name not in alone)


def _used_here(equation: Equation, sizes: Collection[str], alone: Collection[str]) -> Iterator[str]:
    """Quantities that an equation uses at the same step, and not only at a neighbouring one."""
    letters = set(equation.letters(sizes))

    def elsewhere(index: ast.expr) -> bool:
        match index:
            case ast.BinOp(left=ast.Name(id=letter), op=ast.Add() | ast.Sub(), right=ast.Constant()):
                return letter in letters
        return False

    return (
        name
        for name, indices in _references(equation)
        if (indices or name not in alone) and not any(map(elsewhere, indices))
    )


def _references(equation: Equation) -> Iterator[tuple[str, tuple[ast.expr, ...]]]:
    """Names in an equation, each with its indices."""
    nodes = list(ast.walk(equation.value))
    indexed_names = {id(node.value) for node in nodes if isinstance(node, ast.Subscript)}
    letters = {index.id for index in equation.indices if isinstance(index, ast.Name)}
    letters |= {
        node.target.id for node in nodes if isinstance(node, ast.comprehension) and isinstance(node.target, ast.Name)
    }
    for node in nodes:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                yield name, indices_of(index)
            case ast.Name(id=name) if id(node) not in indexed_names and name not in letters:
                yield name, ()


MEANINGS = {
    "MatMult": ("A @ b", "matrix times vector, product of two matrices, or inner product of two vectors"),
    "Mult": ("a * b", "product, entry by entry"),
    "Pow": ("a ** b", "power, entry by entry"),
    "Mod": ("a % b", "remainder of a divided by b"),
    "FloorDiv": ("a // b", "a divided by b, rounded down"),
    "Attribute": ("A.T", "transpose"),
    "IfExp": ("a if condition else b", "a where the condition holds, else b; the other is not evaluated"),
    "outer": ("outer(a, b)", "the matrix of all products, a[i] * b[j]"),
    "concat": ("concat(a, b)", "the entries of a, then those of b"),
    "constant": ("constant(a)", "a, through which no gradient flows"),
    "sum(…)": ("sum(… for i in range(n))", "sum over i = 0 … n - 1; 0 if n is 0"),
    "max(…)": ("max(… for i in range(n))", "the greatest over i = 0 … n - 1"),
    "min(…)": ("min(… for i in range(n))", "the smallest over i = 0 … n - 1"),
    "argmax(…)": ("argmax(… for i in range(n))", "the lowest i at which the value is greatest"),
    "top(…)": ("top(j, (… for i in range(n)))", "the i of the j-th greatest, counted from 0; the lowest i of equals"),
    "log_sum_exp(…)": ("log_sum_exp(… for i in range(n))", "log of the sum of the exponentials; -inf if n is 0"),
    "all(…)": ("all(… for i in range(n))", "whether the condition holds for every i"),
    "any(…)": ("any(… for i in range(n))", "whether the condition holds for some i"),
    "vector(…)": ("vector(… for i in range(n))", "the vector of these entries, or the matrix of these vectors"),
    "log_sum_exp": ("log_sum_exp(a)", "log of the sum of the exponentials of a vector's entries; -inf without entries"),
    "logistic": ("logistic(a)", "1 / (1 + exp(-a))"),
    "logistic_prime": ("logistic_prime(a)", "its derivative, logistic(a) * (1 - logistic(a))"),
    "tanh": ("tanh(a)", "hyperbolic tangent"),
    "tanh_prime": ("tanh_prime(a)", "its derivative, 1 - tanh(a) ** 2"),
    "relu": ("relu(a)", "a where positive, else 0"),
    "relu_prime": ("relu_prime(a)", "its derivative: 1 where a is positive, else 0"),
    "hard_sigmoid": ("hard_sigmoid(a, α, β)", "α a + β, or the nearer of 0 and 1 where it lies beyond"),
    "hard_sigmoid_prime": ("hard_sigmoid_prime(a, α, β)", "its derivative: α where α a + β is between 0 and 1, else 0"),
    "leaky_relu": ("leaky_relu(a, α)", "a where positive, else α a"),
    "leaky_relu_prime": ("leaky_relu_prime(a, α)", "its derivative: 1 where a is positive, else α"),
    "thresholded_relu": ("thresholded_relu(a, α)", "a where above α, else 0"),
    "thresholded_relu_prime": ("thresholded_relu_prime(a, α)", "its derivative: 1 where a is above α, else 0"),
    "scaled_tanh": ("scaled_tanh(a, α, β)", "α tanh(β a)"),
    "scaled_tanh_prime": ("scaled_tanh_prime(a, α, β)", "its derivative, α β (1 - tanh(β a) ** 2)"),
    "affine": ("affine(a, α, β)", "α a + β"),
    "affine_prime": ("affine_prime(a, α, β)", "its derivative, α"),
    "elu": ("elu(a, α)", "a where positive, else α (exp(a) - 1)"),
    "elu_prime": ("elu_prime(a, α)", "its derivative: 1 where a is positive, else α exp(a)"),
    "selu": ("selu(a)", "1.0507009873554805 elu(a, 1.6732632423543772)"),
    "selu_prime": ("selu_prime(a)", "its derivative"),
    "softsign": ("softsign(a)", "a / (1 + abs(a))"),
    "softsign_prime": ("softsign_prime(a)", "its derivative, 1 / (1 + abs(a)) ** 2"),
    "softplus": ("softplus(a)", "log(1 + exp(a))"),
    "softplus_prime": ("softplus_prime(a)", "its derivative, logistic(a)"),
    "relu6": ("relu6(a)", "a, or the nearer of 0 and 6 where it lies beyond"),
    "relu6_prime": ("relu6_prime(a)", "its derivative: 1 where a is between 0 and 6, else 0"),
    "identity": ("identity(a)", "a itself"),
    "identity_prime": ("identity_prime(a)", "its derivative, 1"),
    "softmax": ("softmax(a)", "exp(a) / total(exp(a)): positive shares that add up to 1"),
    "exp": ("exp(a)", "exponential"),
    "log": ("log(a)", "natural logarithm; -inf at 0"),
    "sqrt": ("sqrt(a)", "square root"),
    "abs": ("abs(a)", "magnitude"),
    "sign": ("sign(a)", "1, -1 or 0"),
    "floor": ("floor(a)", "the greatest whole number that is not above a"),
    "clipped": ("clipped(a, c)", "a, or the nearer end of -c … c where it lies outside"),
    "inside": ("inside(a, c)", "1 where a lies in -c … c, else 0"),
    "maximum": ("maximum(a, b)", "the greater of two, entry by entry"),
    "mean": ("mean(a)", "mean of a vector's entries"),
    "total": ("total(a)", "sum of all entries"),
    "norm": ("norm(a)", "root of the sum of the squares of all entries"),
    "spectral_norm": ("spectral_norm(A)", "the greatest singular value"),
    "singular_values": ("singular_values(A)", "the singular values, the greatest first"),
    "ordered": ("ordered(a)", "all entries as a vector, the smallest first"),
    "power": ("power(A, k)", "A times itself, k factors in all"),
    "one_hot": ("one_hot(k, n)", "the vector of n entries that is 1 at place k, if it has one, and 0 elsewhere"),
    "zeros": ("zeros(n)", "the vector of n zeros"),
    "identity_matrix": ("identity_matrix(n)", "the n by n matrix with 1 on its diagonal and 0 elsewhere"),
}  # fmt: skip
"""Form and meaning of each function (with … for one over a range) and operator of equations."""
