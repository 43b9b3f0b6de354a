"""Keras's losses. Steps are taken out by sample weights of 0, or, among class ids, by the class to be ignored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from rnnspec.backends.contract import Call, Unsupported
from rnnspec.backends.native import Native
from rnnspec.backends.scripting import Lines, Script
from rnnspec.backends.tensorflow.framework import Outputs, Tensor, keras, tf
from rnnspec.backends.tensorflow.sequences import mask_source, valid_steps

IGNORED: Final = -1
"""A class that there is not."""

REDUCTIONS: Final = {"none": None, "sum": "sum", "mean": "mean_with_sample_weight"}


@lru_cache(maxsize=64)
def _loss(kind: str, reduction: str, dtype: str, **options: Any) -> Any:
    return getattr(keras.losses, kind)(reduction=REDUCTIONS[reduction], dtype=dtype, **options)


def _weighted(
    kind: str,
    target: Tensor,
    prediction: Tensor,
    reduction: str,
    steps: Mapping[str, Tensor],
    weights: Tensor | None = None,
    **options: Any,
) -> Outputs:
    """One of Keras's losses over (B, T, D), a mean over D at each step."""
    valid = valid_steps(prediction.shape[1], **steps)
    if valid is not None:
        weights = tf.cast(valid, prediction.dtype) if weights is None else tf.where(valid, weights, 0)
    loss = _loss(kind, reduction, prediction.dtype.name, **options)
    return (loss(target, prediction, sample_weight=weights),)


def _error(kind: str) -> Native:
    """One of Keras's losses of predictions and targets of real numbers."""

    def loss(
        *,
        prediction: Tensor,
        target: Tensor,
        reduction: str,
        weighted: bool,
        weights: Tensor | None = None,
        **steps: Any,
    ) -> Outputs:
        return _weighted(kind, target, prediction, reduction, steps, weights)

    return Native(f"keras.losses.{kind}", loss, _refuse_batch_mean)


def _refuse_batch_mean(*, reduction: str, **others: Any) -> None:
    if reduction == "batch_mean":
        raise Unsupported("Keras's losses have no mean over the sequences of sums over their steps")


def _binary_cross_entropy(
    *,
    target: Tensor,
    logits: Tensor,
    given: str,
    reduction: str,
    weighted: bool,
    weights: Tensor | None = None,
    **steps: Any,
) -> Outputs:
    # Keras takes a mean over the last axis.
    target, logits = target[..., None], logits[..., None]
    return _weighted("BinaryCrossentropy", target, logits, reduction, steps, weights, from_logits=True)


def _refuse_binary_cross_entropy(*, given: str, reduction: str, **others: Any) -> None:
    _refuse_batch_mean(reduction=reduction)
    if given == "probabilities":
        raise Unsupported(
            "Keras's BinaryCrossentropy clips probabilities to 1e-7 .. 1 - 1e-7, and in 16 bits a 1 then costs NaN"
        )


def _cross_entropy(
    *,
    logits: Tensor,
    ids: Tensor,
    targets: str,
    reduction: str,
    weighted: bool,
    weights: Tensor | None = None,
    **steps: Any,
) -> Outputs:
    valid = valid_steps(logits.shape[1], **steps)
    options: dict[str, Any] = {"from_logits": True}
    if valid is not None:
        ids, options = tf.where(valid, ids, IGNORED), {**options, "ignore_class": IGNORED}
    return _weighted("SparseCategoricalCrossentropy", ids, logits, reduction, steps, weights, **options)


def _refuse_cross_entropy(*, logits: Tensor, targets: str, reduction: str, **others: Any) -> None:
    _refuse_batch_mean(reduction=reduction)
    if targets == "distribution":
        # Said by tf.nn.softmax_cross_entropy_with_logits: its gradient is wrong for weights with any other sum.
        raise Unsupported("Keras's CategoricalCrossentropy takes weights that add up to 1 only")
    if logits.shape[2] == 1:
        raise Unsupported("Keras's SparseCategoricalCrossentropy needs two classes at least")


def _source(kind: str) -> Script:
    """One of Keras's losses over (B, T, D), a mean over D at each step; steps are taken out by weights of 0."""

    def lines(call: Call) -> Lines:
        prediction = next(name for name in ("prediction", "logits") if name in call.inputs)
        target = "ids" if "ids" in call.inputs else "target"
        y_true, y_pred = 'inputs["ids"]' if target == "ids" else 't["target"]', f't["{prediction}"]'
        options = [f"reduction={REDUCTIONS[call.attributes['reduction']]!r}", "dtype=dtype"]
        if kind == "BinaryCrossentropy":  # over the last axis, Keras takes a mean
            y_true, y_pred = f"{y_true}[..., None]", f"{y_pred}[..., None]"
        if prediction == "logits":
            options.append("from_logits=True")
        given, weights = [], 't["weights"]' if "weights" in call.inputs else "None"
        mask = mask_source(call, f"{y_pred.removesuffix('[..., None]')}.shape[1]")
        if mask is not None:
            given = [f"valid = {mask}"]
            weights = 'tf.where(valid, t["weights"], 0)' if "weights" in call.inputs else "tf.cast(valid, dtype)"
            if target == "ids":
                given.append(f"ids = tf.where(valid, {y_true}, {IGNORED})")
                y_true = "ids"
                options.append(f"ignore_class={IGNORED}")
        loss = f"loss = keras.losses.{kind}(", f"    {', '.join(options)})"
        return Lines([*given, f"results = [loss({y_true}, {y_pred}, sample_weight={weights})]"], loss)

    return lines


NATIVES: Final[Mapping[str, Native]] = {
    "mean_absolute_error": _error("MeanAbsoluteError"),
    "mean_squared_error": _error("MeanSquaredError"),
    "binary_cross_entropy": Native(
        "keras.losses.BinaryCrossentropy", _binary_cross_entropy, _refuse_binary_cross_entropy
    ),
    "cross_entropy": Native("keras.losses.SparseCategoricalCrossentropy", _cross_entropy, _refuse_cross_entropy),
}
SCRIPTS: Final[Mapping[str, Script]] = {
    "mean_absolute_error": _source("MeanAbsoluteError"),
    "mean_squared_error": _source("MeanSquaredError"),
    "binary_cross_entropy": _source("BinaryCrossentropy"),
    "cross_entropy": _source("SparseCategoricalCrossentropy"),
}
