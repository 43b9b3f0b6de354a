"""Writing tokens, against loops over single sequences and, for beams, against every sequence that there is."""

from itertools import product

import numpy as np
import pytest

from rnnspec import reference
from rnnspec.reference import beam_search, beam_search_vjp, greedy_decode, greedy_decode_vjp
from rnnspec.spec import CallError

BATCH, TOKENS, FEATURES, UNITS, STEPS = 4, 3, 2, 3, 4

KINDS = [
    ("rnn", {}),
    ("lstm", {}),
    ("lstm", {"coupled": True, "projection": True}),
    ("lstm_1997", {}),
    ("forget_only_lstm", {}),
    ("peephole_lstm", {}),
    ("layer_norm_lstm", {}),
    ("gru", {}),
    ("gru", {"reset": "before", "update": "admits"}),
    ("nested_lstm", {}),
]
GATES = {"rnn": 1, "lstm": 4, "lstm_1997": 3, "forget_only_lstm": 2, "peephole_lstm": 4, "layer_norm_lstm": 4, "gru": 3}
STATELESS = ("rnn", "gru", "forget_only_lstm")
NOT_OF_THE_CELL = ("start", "V", "c", "E", "h0", "c0")


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def draw(rng, kind="gru", attributes=None, embedding="table", tokens=TOKENS, batch=BATCH, scale=1.0):
    attributes = attributes or {}
    features = FEATURES if embedding == "table" else tokens
    gates = 3 if attributes.get("coupled") else GATES.get(kind, 4)
    state = 2 if attributes.get("projection") else UNITS
    shapes = {"W": (gates, UNITS, features), "R": (gates, UNITS, state), "b": (gates, UNITS)}
    if attributes.get("projection"):
        shapes["P"] = (state, UNITS)
    if kind == "peephole_lstm":
        shapes["P"] = (3, UNITS)
    if kind == "gru" and attributes.get("reset") != "before":
        shapes["b_rn"] = (UNITS,)
    if kind == "layer_norm_lstm":
        shapes |= {"gain": (gates, UNITS), "gain_c": (UNITS,), "b_c": (UNITS,)}
    if kind == "nested_lstm":
        shapes |= {"W_inner": (2, 4, UNITS, UNITS), "R_inner": (2, 4, UNITS, UNITS), "b_inner": (2, 4, UNITS)}
    shapes |= {"V": (tokens, state), "c": (tokens,), "h0": (batch, state)}
    if embedding == "table":
        shapes["E"] = (tokens, features)
    if kind not in STATELESS:
        shapes["c0"] = (batch, 3, UNITS) if kind == "nested_lstm" else (batch, UNITS)
    floats = {name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}
    floats["V"] *= 2
    return {"start": rng.integers(0, tokens, size=batch), **floats}


class Loop:
    """One sequence, one step after another."""

    def __init__(self, kind, attributes, inputs, k):
        self.cell = getattr(reference, f"{kind}_cell")
        self.own = {name: array for name, array in inputs.items() if name not in NOT_OF_THE_CELL} | attributes
        self.inputs = inputs
        self.start = inputs["start"][k]
        self.begin = tuple(inputs[name][k] for name in ("h0", "c0") if name in inputs)
        self.tokens = len(inputs["c"])

    def embedded(self, token):
        return self.inputs["E"][token] if "E" in self.inputs else np.eye(self.tokens)[token]

    def step(self, u, states):
        """The states after, and the log-probabilities of all tokens."""
        before = dict(zip(("h_prev", "c_prev"), (state[np.newaxis] for state in states), strict=False))
        u = np.asarray(u, self.inputs["c"].dtype)
        after = tuple(state[0] for state in self.cell(x=u[np.newaxis], **before, **self.own))
        logits = self.inputs["V"] @ after[0] + self.inputs["c"]
        greatest = max(logits, key=lambda a: a.real)
        return after, logits - greatest - np.log(np.sum(np.exp(logits - greatest)))

    def greedy(self, steps, end, vector):
        u, states, tokens, logs = self.embedded(self.start), self.begin, [], []
        for _ in range(steps):
            states, log_p = self.step(u, states)
            token = int(np.argmax(log_p.real))
            tokens.append(token)
            logs.append(log_p[token])
            if token == end:
                break
            u = sum(p * self.embedded(k) for k, p in enumerate(np.exp(log_p))) if vector else self.embedded(token)
        empty = [0] * (steps - len(tokens))
        return tokens + empty, len(tokens), logs + empty

    def total(self, tokens):
        """The log-probability of a sequence of tokens."""
        u, states, total = self.embedded(self.start), self.begin, 0.0
        for token in tokens:
            states, log_p = self.step(u, states)
            total = total + log_p[token]
            u = self.embedded(token)
        return total

    def beam(self, steps, width, end, normalise):
        beam = [((), 0.0)]
        for _ in range(steps):
            candidates = []
            for tokens, total in beam:
                if tokens and tokens[-1] == end:
                    candidates.append((tokens, total))
                else:
                    candidates += [((*tokens, k), self.total((*tokens, k))) for k in range(self.tokens)]
            beam = sorted(candidates, key=lambda pair: -pair[1])[:width]  # stable: ties stay in order
        scores = [total / len(tokens) if normalise else total for tokens, total in beam]
        best = scores.index(max(scores))
        return beam[best][0], scores[best]

    def exhaustive(self, steps, end, normalise):
        cut = {
            tokens[: tokens.index(end) + 1] if end in tokens else tokens
            for tokens in product(range(self.tokens), repeat=steps)
        }
        scored = [(self.total(tokens) / (len(tokens) if normalise else 1), tokens) for tokens in cut]
        score, tokens = max(scored)
        return tokens, score


def greedy_by_loop(kind, attributes, inputs, steps, end, vector):
    each = [Loop(kind, attributes, inputs, k).greedy(steps, end, vector) for k in range(len(inputs["start"]))]
    tokens, lengths, logs = zip(*each, strict=True)
    return np.array(tokens), np.array(lengths), np.array(logs)


def complex_step(function, inputs, cotangent):
    gradients = {}
    for name, array in inputs.items():
        if name == "start":
            continue
        gradients[name] = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            moved = {key: value if key == "start" else value.astype(complex) for key, value in inputs.items()}
            moved[name][place] += 1e-30j
            gradients[name][place] = np.sum(cotangent * function(moved).imag) / 1e-30
    return gradients


def same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-12)


def same_by_name(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-9, atol=1e-11, err_msg=name)


# greedy_decode


@pytest.mark.parametrize("end", [None, 1])
@pytest.mark.parametrize("embedding", ["table", "one_hot"])
@pytest.mark.parametrize("feedback", ["token", "vector"])
@pytest.mark.parametrize(("kind", "attributes"), KINDS)
def test_greedy_writes_the_most_probable_token(rng, kind, attributes, feedback, embedding, end):
    inputs = draw(rng, kind, attributes, embedding)
    chosen = {"cell": f"{kind}_cell", "feedback": feedback, "embedding": embedding, "end": end, "steps": STEPS}
    tokens, lengths, logs = greedy_decode(**inputs, **attributes, **chosen)
    expected = greedy_by_loop(kind, attributes, inputs, STEPS, end, feedback == "vector")
    np.testing.assert_array_equal(tokens, expected[0])
    np.testing.assert_array_equal(lengths, expected[1])
    same(logs, expected[2])
    assert tokens.dtype == lengths.dtype == np.int64
    assert logs.dtype == np.float64


@pytest.mark.parametrize("end", [None, 1])
@pytest.mark.parametrize("embedding", ["table", "one_hot"])
@pytest.mark.parametrize("feedback", ["token", "vector"])
@pytest.mark.parametrize(("kind", "attributes"), KINDS)
def test_greedy_gradient_is_that_of_the_loop(rng, kind, attributes, feedback, embedding, end):
    inputs = draw(rng, kind, attributes, embedding, batch=2)
    chosen = {"cell": f"{kind}_cell", "feedback": feedback, "embedding": embedding, "end": end, "steps": 3}
    (*_, logs), vjp = greedy_decode_vjp(**inputs, **attributes, **chosen)
    d = rng.standard_normal(logs.shape)

    def by_loop(moved):
        return greedy_by_loop(kind, attributes, moved, 3, end, feedback == "vector")[2].astype(complex)

    same_by_name(vjp(d), complex_step(by_loop, inputs, d))


def copier(tokens, gain):
    """A network whose state is its last input, and whose logits are `gain` where that was, moved on by one token."""
    eye = np.eye(tokens)
    cell = {"W": eye[np.newaxis], "R": np.zeros((1, tokens, tokens)), "b": np.zeros((1, tokens))}
    V = gain * np.roll(eye, 1, axis=0)
    return {**cell, "V": V, "c": np.zeros(tokens), "cell": "rnn_cell", "activation": "relu", "embedding": "one_hot"}


@pytest.mark.parametrize("end", [0, 3])
def test_greedy_stops_after_the_end(end):
    network = copier(4, 50.0)
    tokens, lengths, logs = greedy_decode(start=np.array([0, 1, 2, 3]), **network, steps=5, end=end)
    wanted = {
        0: ([[1, 2, 3, 0, 0], [2, 3, 0, 0, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]], [4, 3, 2, 1]),
        3: ([[1, 2, 3, 0, 0], [2, 3, 0, 0, 0], [3, 0, 0, 0, 0], [0, 1, 2, 3, 0]], [3, 2, 1, 4]),
    }
    np.testing.assert_array_equal(tokens, wanted[end][0])
    np.testing.assert_array_equal(lengths, wanted[end][1])
    np.testing.assert_array_equal(logs[np.arange(5) >= lengths[:, np.newaxis]], 0)
    same(logs, 0)


def test_greedy_goes_on_where_nothing_ends():
    tokens, lengths, _ = greedy_decode(start=np.array([2]), **copier(4, 50.0), steps=6)
    np.testing.assert_array_equal(tokens, [[3, 0, 1, 2, 3, 0]])
    np.testing.assert_array_equal(lengths, [6])


def test_an_end_that_is_no_token_is_never_chosen():
    _, lengths, _ = greedy_decode(start=np.array([2]), **copier(4, 50.0), steps=6, end=4)
    np.testing.assert_array_equal(lengths, [6])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_large_logits_do_not_overflow(dtype, logit):
    network = {name: a.astype(dtype) if isinstance(a, np.ndarray) else a for name, a in copier(3, 1.0).items()}
    network["c"] = np.array([logit, 0, -logit], dtype)
    network["V"][...] = 0
    (tokens, _, logs), vjp = greedy_decode_vjp(start=np.array([1]), **network, steps=2)
    np.testing.assert_array_equal(tokens, [[0, 0]] if logit > 0 else [[2, 2]])
    np.testing.assert_array_equal(logs, [[0, 0]])
    assert all(np.isfinite(gradient).all() for gradient in vjp(np.ones_like(logs)).values())


def test_half_precision_is_computed_wider_and_rounded_once(rng):
    inputs = {name: a if name == "start" else a.astype(np.float16) for name, a in draw(rng).items()}
    wide = {name: a if name == "start" else a.astype(np.float32) for name, a in inputs.items()}
    for decode, vjp_of in ((greedy_decode, greedy_decode_vjp), (beam_search, beam_search_vjp)):
        chosen = {"steps": STEPS, "end": 0} | ({"width": 3} if decode is beam_search else {})
        (tokens, lengths, found), vjp = vjp_of(**inputs, **chosen)
        (wide_tokens, wide_lengths, expected), wide_vjp = vjp_of(**wide, **chosen)
        np.testing.assert_array_equal(tokens, wide_tokens)
        np.testing.assert_array_equal(lengths, wide_lengths)
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, expected.astype(np.float16))
        d = np.ones_like(found)
        for name, gradient in vjp(d).items():
            np.testing.assert_array_equal(gradient, wide_vjp(d.astype(np.float32))[name].astype(np.float16))


def test_equal_logits_go_to_the_lowest_token():
    network = copier(3, 0.0)
    tokens, _, logs = greedy_decode(start=np.array([2]), **network, steps=2)
    np.testing.assert_array_equal(tokens, [[0, 0]])
    same(logs, -np.log(3))
    tokens, _, score = beam_search(np.array([2]), **network, steps=3, width=2)
    np.testing.assert_array_equal(tokens, [[0, 0, 0]])
    same(score, -np.log(3))


def test_one_token_is_certain(rng):
    inputs = draw(rng, tokens=1)
    for end, length in ((None, STEPS), (0, 1)):
        tokens, lengths, logs = greedy_decode(**inputs, steps=STEPS, end=end)
        assert not tokens.any()
        np.testing.assert_array_equal(lengths, [length] * BATCH)
        assert not logs.any()
        tokens, lengths, score = beam_search(**inputs, steps=STEPS, end=end, width=3)
        assert not tokens.any()
        np.testing.assert_array_equal(lengths, [length] * BATCH)
        assert not score.any()


def test_what_would_follow_the_end_cannot_overflow():
    # A state that grows a hundredfold at each step: beyond float32 long before the last one.
    one = np.ones((1, 1, 1), np.float32)
    growing = {"W": one, "R": 100 * one, "b": one[0], "V": np.zeros((1, 1), np.float32), "c": np.zeros(1, np.float32)}
    chosen = {"cell": "rnn_cell", "activation": "relu", "embedding": "one_hot", "end": 0, "steps": 40}
    with np.errstate(all="raise"):
        (_, lengths, logs), vjp = greedy_decode_vjp(start=np.array([0]), **growing, **chosen)
        assert lengths == 1
        assert all(np.isfinite(gradient).all() for gradient in vjp(np.ones_like(logs)).values())
        (_, lengths, score), vjp = beam_search_vjp(np.array([0]), **growing, **chosen, width=2)
        assert lengths == 1
        assert all(np.isfinite(gradient).all() for gradient in vjp(np.ones_like(score)).values())


# beam_search


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("end", [None, 0, 1])
@pytest.mark.parametrize(("kind", "attributes"), KINDS)
def test_a_beam_of_one_is_greedy(rng, kind, attributes, end, normalise):
    inputs = draw(rng, kind, attributes)
    chosen = {"cell": f"{kind}_cell", "end": end, "steps": 5}
    tokens, lengths, logs = greedy_decode(**inputs, **attributes, **chosen)
    found = beam_search(**inputs, **attributes, **chosen, width=1, normalise=normalise)
    np.testing.assert_array_equal(found[0], tokens)
    np.testing.assert_array_equal(found[1], lengths)
    same(found[2], logs.sum(axis=1) / (lengths if normalise else 1))


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("end", [None, 0, 2])
@pytest.mark.parametrize("embedding", ["table", "one_hot"])
@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_beam_search_is_its_description(seed, width, embedding, end, normalise):
    inputs = draw(np.random.default_rng(seed), embedding=embedding)
    chosen = {"steps": STEPS, "width": width, "end": end, "normalise": normalise}
    tokens, lengths, score = beam_search(**inputs, **chosen, embedding=embedding)
    for k in range(BATCH):
        best, best_score = Loop("gru", {}, inputs, k).beam(**chosen)
        np.testing.assert_array_equal(tokens[k], [*best, *[0] * (STEPS - len(best))])
        assert lengths[k] == len(best)
        same(score[k], best_score)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("end", [None, 0, 2])
@pytest.mark.parametrize(("kind", "attributes"), [("rnn", {}), ("lstm", {"coupled": True, "projection": True})])
def test_a_wide_beam_finds_the_best_of_all_sequences(rng, kind, attributes, end, normalise):
    inputs = draw(rng, kind, attributes)
    chosen = {"cell": f"{kind}_cell", "steps": 3, "width": TOKENS**3, "end": end, "normalise": normalise}
    tokens, lengths, score = beam_search(**inputs, **attributes, **chosen)
    for k in range(BATCH):
        best, best_score = Loop(kind, attributes, inputs, k).exhaustive(3, end, normalise)
        np.testing.assert_array_equal(tokens[k], [*best, *[0] * (3 - len(best))])
        assert lengths[k] == len(best)
        same(score[k], best_score)


def test_a_beam_can_beat_greedy():
    # After 0 every token is as probable as another, after 1 the next is certain: 0.6 · 1/3 < 0.4 · 1.
    network = copier(3, 0.0)
    network["c"] = np.log([0.6, 0.4, 1e-9])
    network["V"] = np.array([[0, 0, 0], [0, 60.0, 0], [0, 0, 0]]) - np.log([0.6, 0.4, 1e-9])[:, None] * [1, 0, 0]
    start = np.array([2])
    np.testing.assert_array_equal(greedy_decode(start=start, **network, steps=2)[0], [[0, 0]])
    tokens, _, score = beam_search(start, **network, steps=2, width=2, normalise=False)
    np.testing.assert_array_equal(tokens, [[1, 1]])
    same(score, np.log(0.4 / (1 + 1e-9)))


def test_length_weighs_in_the_choice_but_not_in_the_beam():
    # The end has probability 0.4 at every step and the other token 0.6, whatever came before.
    network = {**copier(2, 0.0), "c": np.log([0.4, 0.6])}
    start = np.array([1])
    chosen = {"steps": 3, "width": 3, "end": 0}
    tokens, lengths, score = beam_search(start, **network, **chosen, normalise=False)
    np.testing.assert_array_equal(tokens, [[0, 0, 0]])  # 0.4 against 0.6 · 0.6 · 0.6
    np.testing.assert_array_equal(lengths, [1])
    same(score, np.log(0.4))
    tokens, lengths, score = beam_search(start, **network, **chosen, normalise=True)
    np.testing.assert_array_equal(tokens, [[1, 1, 1]])  # log 0.6 a token against log 0.4
    np.testing.assert_array_equal(lengths, [3])
    same(score, np.log(0.6))
    # In a beam of 1 hypothesis of 0.6, then 0.4 · 1 against 0.36: ranked by totals, the finished one stays.
    tokens, *_ = beam_search(start, **network, steps=2, width=2, end=0, normalise=False)
    np.testing.assert_array_equal(tokens, [[0, 0]])


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("end", [None, 0])
@pytest.mark.parametrize("embedding", ["table", "one_hot"])
@pytest.mark.parametrize("kind", ["gru", "nested_lstm"])
def test_beam_gradient_is_that_of_the_chosen_sequence(rng, kind, embedding, end, normalise):
    inputs = draw(rng, kind, embedding=embedding, batch=2)
    chosen = {"cell": f"{kind}_cell", "embedding": embedding, "end": end, "normalise": normalise}
    (tokens, lengths, score), vjp = beam_search_vjp(**inputs, **chosen, steps=3, width=3)
    d = rng.standard_normal(score.shape)

    def by_loop(moved):
        each = (Loop(kind, {}, moved, k).total(tokens[k, : lengths[k]]) for k in range(2))
        return np.array(list(each)) / (lengths if normalise else 1)

    same(score, by_loop(inputs))
    same_by_name(vjp(d), complex_step(by_loop, inputs, d))


@pytest.mark.parametrize("minimum", [0, 2])
@pytest.mark.parametrize("penalty", [None, 0.7])
def test_all_sequences_come_in_the_order_of_their_scores(rng, penalty, minimum):
    inputs, steps, end = draw(rng, "rnn"), 3, 1
    chosen = {"cell": "rnn_cell", "steps": steps, "width": TOKENS**steps, "end": end, "hypotheses": "all"}
    found = beam_search(**inputs, **chosen, minimum=minimum, length_penalty=penalty)
    for k in range(BATCH):
        loop = Loop("rnn", {}, inputs, k)
        every = {
            tokens[: tokens.index(end) + 1] if end in tokens else tokens
            for tokens in product(range(TOKENS), repeat=steps)
        }
        legal = [tokens for tokens in every if end not in tokens[:minimum]]
        divided = [len(tokens) if penalty is None else ((5 + len(tokens)) / 6) ** penalty for tokens in legal]
        scored = sorted(((loop.total(t) / d, t) for t, d in zip(legal, divided, strict=True)), reverse=True)
        assert [len(tokens) for _, tokens in scored] == found[1][k, : len(legal)].tolist()
        np.testing.assert_array_equal([[*t, *[0] * (steps - len(t))] for _, t in scored], found[0][k, : len(legal)])
        same(found[2][k, : len(legal)], [score for score, _ in scored])
        for tokens, lengths, score in zip(*(output[k, len(legal) :] for output in found), strict=True):
            assert (tokens.any(), lengths, score) == (False, 0, -np.inf)


@pytest.mark.parametrize("minimum", [1, 3])
def test_the_end_is_not_written_before_the_minimum_is(minimum):
    # The end has probability 0.9 at every step, and keeps it where it is barred.
    network = {**copier(2, 0.0), "c": np.log([0.9, 0.1])}
    tokens, lengths, logs = greedy_decode(start=np.array([0]), **network, steps=4, end=0, minimum=minimum)
    np.testing.assert_array_equal(tokens, [[1] * minimum + [0] * (4 - minimum)])
    np.testing.assert_array_equal(lengths, [minimum + 1])
    same(logs[0, : minimum + 1], np.log([0.1] * minimum + [0.9]))


def test_greedy_begins_with_a_vector():
    # The state is the last input: zeros give equal logits, and a one-hot vector the token after it.
    first = np.array([[0, 0, 0, 0.0], [0, 1, 0, 0]])
    tokens, *_ = greedy_decode(first=first, begin="vector", **copier(4, 50.0), steps=3)
    np.testing.assert_array_equal(tokens, [[0, 1, 2], [2, 3, 0]])


# Both.


@pytest.mark.parametrize("feedback", ["token", "vector", "beam"])
def test_absent_states_are_zero_and_get_no_gradient(rng, feedback):
    inputs = draw(rng, "lstm")
    del inputs["h0"], inputs["c0"]
    zeros = {"h0": np.zeros((BATCH, UNITS)), "c0": np.zeros((BATCH, UNITS))}
    beam = feedback == "beam"
    run = beam_search_vjp if beam else greedy_decode_vjp
    chosen = {"cell": "lstm_cell", "steps": 3, **({"width": 2} if beam else {"feedback": feedback})}
    absent, vjp = run(**inputs, **chosen)
    given, vjp_of_zeros = run(**inputs, **zeros, **chosen)
    for a, b in zip(absent, given, strict=True):
        np.testing.assert_array_equal(a, b)
    d = rng.standard_normal(absent[2].shape)
    gradients = vjp(d)
    assert gradients.keys() == inputs.keys() - {"start"}
    expected = vjp_of_zeros(d)
    same_by_name(gradients, {name: expected[name] for name in gradients})


@pytest.mark.parametrize("feedback", ["token", "vector", "beam"])
def test_an_empty_batch(rng, feedback):
    inputs = draw(rng, batch=0)
    beam = feedback == "beam"
    run = beam_search_vjp if beam else greedy_decode_vjp
    (tokens, lengths, floats), vjp = run(**inputs, steps=3, end=0, **({"width": 2} if beam else {"feedback": feedback}))
    assert tokens.shape == (0, 3)
    assert lengths.shape == (0,)
    assert floats.shape == ((0,) if beam else (0, 3))
    for name, gradient in vjp(floats).items():
        assert gradient.shape == inputs[name].shape
        assert not gradient.any()


@pytest.mark.parametrize("feedback", ["token", "vector", "beam"])
def test_the_vjp_can_be_called_again_whatever_became_of_the_outputs(rng, feedback):
    inputs = draw(rng)
    before = {name: array.copy() for name, array in inputs.items()}
    beam = feedback == "beam"
    run = beam_search_vjp if beam else greedy_decode_vjp
    outputs, vjp = run(**inputs, steps=3, end=0, **({"width": 2} if beam else {"feedback": feedback}))
    d = rng.standard_normal(outputs[2].shape)
    first = vjp(d)
    for output in outputs:
        output[...] = 2
    same_by_name(vjp(d), first)
    for name, array in before.items():
        np.testing.assert_array_equal(inputs[name], array)


def test_what_another_cell_has_is_refused(rng):
    with pytest.raises(CallError):
        greedy_decode(**draw(rng), steps=2, c0=np.zeros((BATCH, UNITS)))
    with pytest.raises(CallError):
        beam_search(**draw(rng), steps=2, width=2, feedback="vector")
