"""The calls that an adapter's methods take: by their parameters, and by `only`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnspec.backends import Backend, Call, Unsupported, at_least, only
from rnnspec.conformance.cases import Case
from rnnspec.spec import CallError, operation

SIZES = {"B": 2, "T": 3, "D": 2, "H": 2}
PLAIN = ("b_R", "b_rn", "h0")


def call_of(name: str = "gru", absent: tuple[str, ...] = PLAIN, **changes: Any) -> Call:
    op = operation(name)
    found = Case(name, "float32", SIZES, op.defaults(), absent=absent).call
    attributes = {key: value for key, value in changes.items() if key in op.attributes}
    inputs = {key: value for key, value in changes.items() if key not in attributes}
    return Call(name, {**found.inputs, **inputs}, {**found.attributes, **attributes})


class Keeping(Backend):
    """Keeps what its methods are given."""

    name = "keeping"
    seen: dict[str, Any]

    def _keep(self, given: dict[str, Any]) -> tuple[Any, ...]:
        self.seen = {name: value for name, value in given.items() if name != "self"}
        x, h = given["x"], np.zeros((len(given["x"]), 2), np.float32)
        return np.zeros((*x.shape[:2], 2), np.float32), h


class Bare(Keeping):
    @only(direction={"forward", "reverse"}, T=at_least(1))
    def gru(self, x, W, R, b, b_rn, h0, lengths, *, direction):  # type: ignore[no-untyped-def]
        return self._keep(locals())


def test_inputs_without_a_default_are_always_there() -> None:
    backend = Bare()
    backend.run(call_of())
    assert backend.seen["lengths"].tolist() == [3, 3]
    assert backend.seen["h0"].shape == (2, 2)
    assert backend.seen["h0"].dtype == np.float32
    assert not backend.seen["h0"].any()
    assert not backend.seen["b_rn"].any()


def test_inputs_that_are_there_are_handed_on() -> None:
    backend = Bare()
    h0 = np.ones((2, 2), np.float32)
    backend.run(call_of(h0=h0, lengths=np.array([1, 3]), direction="reverse"))
    assert backend.seen["lengths"].tolist() == [1, 3]
    assert (backend.seen["h0"] == h0).all()
    assert backend.seen["direction"] == "reverse"


def test_a_mask_without_holes_is_lengths() -> None:
    backend = Bare()
    backend.run(call_of(mask=np.array([[True, False, False], [True, True, True]])))
    assert backend.seen["lengths"].tolist() == [1, 3]
    with pytest.raises(Unsupported, match="keeping's gru takes lengths: valid steps come first, without holes"):
        backend.run(call_of(mask=np.array([[True, False, True], [True, True, True]])))


def test_lengths_are_a_mask() -> None:
    class Masked(Keeping):
        def gru(self, x, W, R, b, mask=None):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    backend = Masked()
    backend.run(call_of(lengths=np.array([1, 3])))
    assert backend.seen["mask"].tolist() == [[True, False, False], [True, True, True]]
    backend.run(call_of())
    assert backend.seen["mask"] is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reset": "before"}, "keeping's gru: reset = after only"),
        ({"truncate": 2}, "keeping's gru: truncate = None only"),
        ({"b_R": np.zeros((3, 2), np.float32)}, "keeping's gru takes no b_R"),
    ],
)
def test_all_else_is_refused(changes: dict[str, Any], reason: str) -> None:
    backend = Bare()
    assert backend.refuses(call_of(**changes)) == reason
    assert not hasattr(backend, "seen")


def test_inputs_of_refused_settings_are_never_passed() -> None:
    keep = np.ones((2, 2), bool)
    with pytest.raises(Unsupported, match="recurrent_dropout = None only"):
        Bare().run(call_of(recurrent_dropout=0.5, recurrent_keep=keep))


def test_sizes_are_refused_by_declaration() -> None:
    found = call_of()
    none = replace(found, inputs={**found.inputs, "x": found.inputs["x"][:, :0]})
    assert Bare().refuses(none) == "keeping's gru: T >= 1 only (T: steps of the longest sequence)"


def test_padding_is_refused_by_declaration() -> None:
    class Careless(Keeping):
        @only(nan_padding=False, holes=False)
        def gru(self, x, W, R, b, mask):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    lengths, found = np.array([1, 3]), call_of()
    x = found.inputs["x"].copy()
    Careless().run(call_of(x=x, lengths=lengths))
    x[0, 2] = np.nan
    assert Careless().refuses(call_of(x=x)) is None  # no padding
    reason = "keeping's gru computes with padding: it must be finite"
    assert Careless().refuses(call_of(x=x, lengths=lengths)) == reason
    holes = np.array([[True, False, True], [True, True, True]])
    assert Careless().refuses(call_of(mask=holes)) == "keeping's gru: valid steps come first, without holes"


def test_attributes_that_do_not_apply_are_left_out() -> None:
    class Stacks(Keeping):
        def stacked(self, x, W, R, b, **attributes):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    op = operation("stacked")
    backend = Stacks()
    absent = tuple(name for name in ("h0", "c0", "b_R", "b_rn"))
    backend.run(Case("stacked", "float32", {**SIZES, "L": 2}, {**op.defaults(), "layer": "rnn"}, absent=absent).call)
    assert "activation" in backend.seen["attributes"]
    assert not {"reset", "update", "recurrent_activation"} & backend.seen["attributes"].keys()


def test_one_operation_may_have_no_gradient() -> None:
    class Differentiates(Backend):
        name = "differentiates"

        def differentiate(self, function: Any, inputs: dict[str, Any], cotangents: Any) -> dict[str, Any]:
            return {name: np.zeros_like(array) for name, array in inputs.items()}

        @only(differentiable=False)
        def gru(self, x, W, R, b, h0):  # type: ignore[no-untyped-def]
            return np.zeros((*x.shape[:2], 2), np.float32), h0

        def rnn(self, x, W, R, b, h0, *, activation):  # type: ignore[no-untyped-def]
            return np.zeros((*x.shape[:2], 2), np.float32), h0

    backend = Differentiates()
    assert backend.has_gradients("rnn")
    assert not backend.has_gradients("gru")
    seeds = (np.zeros((2, 3, 2), np.float32), None)
    with pytest.raises(Unsupported, match="differentiates's gru has no gradient"):
        backend.gradients(call_of(), seeds)
    gradients = backend.gradients(call_of("rnn", ("b_R", "h0")), seeds)
    assert set(gradients) == {"x", "W", "R", "b"}  # what was filled in has none


def test_bad_input_is_refused_before_the_method() -> None:
    found = call_of()
    bad = replace(found, inputs={**found.inputs, "x": found.inputs["x"][0]})
    with pytest.raises(CallError, match="gru: x: expected 3 axes"):
        Bare().run(bad)

    class Asked(Bare):
        checks_calls = False

    with pytest.raises(CallError):  # the fillings need to know the sizes
        Asked().run(bad)

    class Asks(Keeping):
        checks_calls = False

        def gru(self, x, W, R, b):  # type: ignore[no-untyped-def]
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        Asks().run(bad)


def test_a_declaration_of_what_there_is_not_is_an_error() -> None:
    class Wrong(Keeping):
        @only(directions="forward")
        def gru(self, x, W, R, b):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    with pytest.raises(
        ValueError, match=r"only\(directions=…\) of gru: did you mean direction\? expected one of B, D, G, "
    ):
        Wrong()


def test_a_declaration_of_what_is_no_operation_is_an_error() -> None:
    class Wrong(Keeping):
        @only(direction="forward")
        def gruu(self, x, W, R, b):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    with pytest.raises(ValueError, match=r"gruu: expected a method with the name of an operation; did you mean gru\?"):
        Wrong()


def test_a_slip_in_the_name_of_an_operation_is_an_error() -> None:
    class Wrong(Backend):
        name = "wrong"

        def gruu(self, x, W, R, b):  # type: ignore[no-untyped-def]
            return (x,)

    class Helped(Wrong):
        def gru(self, x, W, R, b):  # type: ignore[no-untyped-def]
            return self.gruu(x, W, R, b)

        def lstmm(self, steps):  # type: ignore[no-untyped-def]
            return steps

    with pytest.raises(ValueError, match=r"method gruu: expected the name of an operation: did you mean gru\?"):
        Wrong()
    Helped()


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [("lstm", 3, "int"), ("run", "x", "str"), ("dtypes", ("float32",), "tuple"), ("gru_vjp", "x", "str")],
)
def test_an_attribute_in_the_place_of_a_method_is_an_error(name: str, value: Any, kind: str) -> None:
    wrong = type("Wrong", (Backend,), {"name": "wrong", name: value})
    with pytest.raises(ValueError, match=f"^{name}: expected a method, got an object of type {kind}$"):
        wrong()


def test_none_takes_an_operation_away() -> None:
    fewer = type("Fewer", (Keeping,), {"name": "fewer", "gru": None})
    assert "gru" not in fewer().operations()


@pytest.mark.parametrize("came", [np.zeros((2, 1)), None, {"h": 1}])
def test_outputs_come_in_a_tuple(came: Any) -> None:
    class Wrong(Backend):
        name = "wrong"

        def rnn_cell(self, x, h_prev, W, R, b):  # type: ignore[no-untyped-def]
            return came

    with pytest.raises(TypeError, match=r"expected rnn_cell to return a tuple, \(h,\), got an object of type "):
        Wrong().run(call_of("rnn_cell", absent=("b_R",)))


VALUES: dict[str, tuple[Any, str]] = {
    "another word": (only(activation="nosuch"), "only(activation=…) of gru: expected "),
    "one of several": (only(reset={"after", "nosuch"}), "only(reset=…) of gru: expected one of 'before', 'after', got"),
    "a truth that is a number": (only(reset=0), "only(reset=…) of gru: expected one of"),
    "a size that is none": (only(T="many"), "only(T=…) of gru: expected a size, several in a set, or at_least(size)"),
    "a size of truth": (only(T=at_least(True)), "only(T=…) of gru: expected a size"),
    "a list": (only(T=[1, 2]), "only(T=…) of gru: expected a size"),
    "a size of an attribute": (only(reset=at_least(1)), "got at_least(1), which is for sizes"),
}


@pytest.mark.parametrize("what", VALUES)
def test_a_declared_value_is_one_that_there_is(what: str) -> None:
    decorate, told = VALUES[what]

    class Wrong(Keeping):
        @decorate
        def gru(self, x, W, R, b):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    with pytest.raises(ValueError, match=re.escape(told)):
        Wrong()


def test_parameters_are_inputs_and_attributes() -> None:
    class Bare(Keeping):
        def gru(self, x, W, R, bias):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    class Nearly(Keeping):
        def gru(self, x, W, R, b, lenghts=None):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    class Own(Keeping):
        def gru(self, x, W, R, b, *, speed=3):  # type: ignore[no-untyped-def]
            return self._keep(locals())

    with pytest.raises(ValueError, match="gru: unknown parameter bias: expected one of x, h0, W"):
        Bare()
    with pytest.raises(ValueError, match=r"gru: unknown parameter lenghts: did you mean lengths\?"):
        Nearly()
    Own()


def test_versions_are_those_of_the_libraries() -> None:
    assert Bare().versions() == {"numpy": np.__version__}


def test_memory_comes_in_the_order_that_is_asked_for() -> None:
    class InC(Keeping):
        contiguous = True

    turned = np.ones((2, 3)).T
    assert InC().to_native(turned).flags.c_contiguous
    assert not Bare().to_native(turned).flags.c_contiguous
