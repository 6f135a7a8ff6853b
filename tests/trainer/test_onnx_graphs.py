"""What the emitters write answers like scikit-learn, for every float32 there is."""

import warnings

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from trainer.onnx_linear import Linear
from trainer.onnx_trees import (
    LINKS,
    NotExportable,
    boosted,
    boosted_quantiles,
    float32_below,
    predict_quantiles,
)

Floats = NDArray[np.float32]


def run(content: bytes, **inputs: Floats) -> Floats:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    y: Floats = ort.InferenceSession(content, options).run(None, inputs)[0]
    return y


def table(n: int = 700, f: int = 5, seed: int = 0) -> tuple[Floats, NDArray[np.float64]]:
    """Rows with missing values and outcomes above 0."""
    random = np.random.default_rng(seed)
    x = random.lognormal(0.0, 2.0, (n, f)).astype(np.float32)
    x[random.random(x.shape) < 0.15] = np.nan
    return x, np.nan_to_num(x[:, 0]) * 0.3 + random.gamma(1.0, 1.0, n) + 0.01


def hard_rows(model: object, x: Floats) -> Floats:
    """Rows on the thresholds themselves and one float32 beside them, endless and missing values."""
    thresholds = np.concatenate(
        [tree[0].nodes["num_threshold"] for tree in model._predictors]  # type: ignore[attr-defined]
    )
    at = thresholds[np.isfinite(thresholds)].astype(np.float32)
    near = np.concatenate(
        [at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf))]
    )
    odd = np.array([np.nan, 0.0, -0.0, 3e38, -3e38, 1e-45], np.float32)
    values = np.concatenate([near, odd])
    random = np.random.default_rng(1)
    return np.concatenate([x[:200], random.choice(values, (2_000, x.shape[1]))])


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "poisson", "gamma", "quantile"]
)
def test_a_boosted_regressor_answers_like_scikit_learn(loss: str) -> None:
    x, y = table()
    options = {"quantile": 0.8} if loss == "quantile" else {}
    model = HistGradientBoostingRegressor(loss=loss, max_iter=12, **options).fit(x, y)
    rows = hard_rows(model, x)
    told = model.predict(rows)
    np.testing.assert_allclose(run(boosted(model), x=rows)[:, 0], told, rtol=2e-5, atol=2e-5)


def test_a_boosted_classifier_gives_the_probability_of_its_second_class() -> None:
    x, y = table()
    model = HistGradientBoostingClassifier(max_iter=12).fit(x, y > np.median(y))
    rows = hard_rows(model, x)
    told = model.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(run(boosted(model), x=rows)[:, 0], told, rtol=0, atol=2e-6)


def test_every_link_is_in_sight_and_not_dropped() -> None:
    x, y = table()
    plain = HistGradientBoostingRegressor(loss="poisson", max_iter=5).fit(x, y)
    assert LINKS["poisson"] == "exp"
    assert b"Exp" in boosted(plain)
    assert np.ptp(np.log(run(boosted(plain), x=x))) > 0


def test_quantiles_of_one_ensemble_never_cross() -> None:
    x, y = table()
    models = [
        HistGradientBoostingRegressor(loss="quantile", quantile=q, max_iter=12).fit(x, y)
        for q in (0.1, 0.5, 0.9)
    ]
    rows, offset = hard_rows(models[1], x), np.array([0.5, 0.0, -0.7], np.float32)
    inputs = {"x": rows, "offset": offset}
    given = run(boosted_quantiles(models, lowest=0.0, offset=True), **inputs)
    assert (np.diff(given, axis=1) >= 0).all()
    assert (given >= 0).all()
    raw = np.stack([m.predict(rows) for m in models], 1) + offset
    assert (np.diff(raw, axis=1) < 0).any()
    told = predict_quantiles(models, inputs, lowest=0.0)
    np.testing.assert_allclose(given, told, rtol=2e-5, atol=2e-5)


def test_what_the_emitter_does_not_know_is_refused() -> None:
    x, y = table()
    grouped = np.nan_to_num(np.floor(np.clip(x, 0, 20)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        many = HistGradientBoostingClassifier(max_iter=2).fit(x, np.clip(y, 0, 3).astype(int))
        kinds = HistGradientBoostingRegressor(max_iter=20, categorical_features=[0]).fit(grouped, y)
    with pytest.raises(NotExportable, match="two classes"):
        boosted(many)
    with pytest.raises(NotExportable, match="categorical"):
        boosted(kinds)


@given(
    arrays(np.float64, 20, elements=st.floats(-1e39, 1e39)), st.floats(width=32, allow_nan=False)
)
def test_a_rounded_threshold_parts_float32_as_the_wide_one_does(
    thresholds: NDArray[np.float64], x: float
) -> None:
    narrow = float32_below(thresholds)
    near = thresholds.clip(-3e38, 3e38).astype(np.float32)
    above = np.nextafter(near, np.float32(np.inf))
    for value in (np.float32(x), *near, *above):
        assert ((value <= narrow) == (float(value) <= thresholds)).all()


@pytest.mark.parametrize("link", ["identity", "exp", "logistic"])
def test_a_linear_model_answers_like_its_formula(link: str) -> None:
    x, _ = table()
    random = np.random.default_rng(2)
    model = Linear(
        fill=np.nanmedian(x, axis=0).astype(np.float64),
        centre=np.nanmean(x, axis=0).astype(np.float64),
        scale=np.nanstd(x, axis=0).astype(np.float64),
        coefficients=random.normal(0.0, 0.3, (2, 5)),
        intercept=np.array([0.2, -0.4]),
        link=link,
    )
    rows = np.concatenate(
        [x, np.full((1, 5), np.nan, np.float32), np.full((1, 5), 1e30, np.float32)]
    )
    told = model.predict(rows)
    given = run(model.onnx(), x=rows)
    assert np.isfinite(given).all()
    np.testing.assert_allclose(given, told, rtol=2e-5, atol=1e-6)


def test_a_logistic_regression_fits_into_the_linear_form() -> None:
    x, y = table()
    filled = np.nan_to_num(x).clip(0, 50)
    fitted = LogisticRegression(max_iter=500).fit(filled, y > np.median(y))
    model = Linear(
        fill=np.zeros(5),
        centre=np.zeros(5),
        scale=np.ones(5),
        coefficients=fitted.coef_,
        intercept=fitted.intercept_,
        link="logistic",
        clip=50.0,
    )
    told = fitted.predict_proba(filled)[:, 1]
    np.testing.assert_allclose(run(model.onnx(), x=filled)[:, 0], told, atol=2e-6)
