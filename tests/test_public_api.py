"""The public interface, frozen: a change here is a change for every user."""

import inspect

import pytest

import skdctr

NAMES = ["AnalyticReweighter", "DCTRFitter", "DCTRReweighter", "SRGNFitter", "__version__"]

FIT = (
    "(X, y=None, data=None, *, gen=None, theta=None, gen_weight=None, sample_weight=None, "
    "data_weight=None)"
)
SCORE = "(X, y=None, data=None, *, sample_weight=None, data_weight=None)"
NETWORK = (
    "max_epochs='auto', batch_size={batch_size}, lr={lr}, optimizer='Adam', lr_schedule='one_cycle'"
)

SIGNATURES = {
    "AnalyticReweighter": {
        "__init__": "(log_weight=None, theta_nominal=0.0, *, theta_bounds=None)",
        "fit": "(X, y=None, sample_weight=None)",
        "predict_log_weights": "(X, theta=None, *, out=None)",
        "predict_weights": "(X, theta=None, *, normalize=False, out=None)",
        "log_weight_gradient": "(X, theta=None)",
    },
    "DCTRReweighter": {
        "__init__": "(theta_nominal=None, *, n_estimators=1, hidden_layer_sizes=None, "
        "activation='silu', module=None, refit=True, n_folds='auto', "
        + NETWORK.format(batch_size=4000, lr=0.01)
        + ", patience=None, validation_fraction=0.1, callbacks=None, device='auto', "
        "random_state=None, verbose=0, **prefixed)",
        "fit": "(X, y, sample_weight=None)",
        "predict_log_weights": "(X, theta=None, *, out=None)",
        "predict_weights": "(X, theta=None, *, normalize=False, out=None)",
        "log_weight_gradient": "(X, theta=None)",
        "expected_auc": "(X, theta=None, sample_weight=None)",
        "score": "(X, y, sample_weight=None)",
    },
    "SRGNFitter": {
        "__init__": "(reweighter=None, *, objective='auc', search='surrogate', bounds=None, "
        "constraints=None, max_evaluations=None, n_points=15, max_iter=100, tol=0.0001, n_folds=2, "
        "n_runs=1, "
        "hidden_layer_sizes=(64, 64), activation='silu', module=None, "
        + NETWORK.format(batch_size=2000, lr=0.005)
        + ", callbacks=None, n_jobs=None, device='auto', random_state=None, verbose=0, "
        "**prefixed)",
        "fit": FIT,
        "score": SCORE,
        "confidence_interval": "(level=0.6827)",
        "expected_covariance": "(theta, n_events)",
    },
    "DCTRFitter": {
        "__init__": "(reweighter=None, *, solver='lbfgs', bounds=None, max_iter=200, tol=1e-06, "
        "lr=0.05, random_state=None, verbose=0)",
        "fit": FIT,
        "score": SCORE,
    },
}


def shown(function):
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def test_names():
    assert sorted(skdctr.__all__) == NAMES
    assert all(hasattr(skdctr, name) for name in skdctr.__all__)


@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name in SIGNATURES for method in SIGNATURES[name]]
)
def test_signatures(name, method):
    assert shown(getattr(getattr(skdctr, name), method)) == SIGNATURES[name][method]


@pytest.mark.parametrize("name", SIGNATURES)
def test_parameters_are_documented(name):
    documentation = getattr(skdctr, name).__doc__
    for parameter in inspect.signature(getattr(skdctr, name)).parameters:
        assert f"\n    {parameter} : " in documentation
