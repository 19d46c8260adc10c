"""The map of θ to the scale of networks."""

import numpy as np
import pytest

from skdctr.parameters.derivatives import central_differences
from skdctr.parameters.scaling import ParameterScaling, read_theta_scale

LOW, HIGH = np.array([-1.0, 0.25]), np.array([3.0, 4.0])


def make(logarithmic=(False, True)):
    return ParameterScaling.of_range(["mu", "sigma"], LOW, HIGH, np.array(logarithmic))


@pytest.mark.parametrize("logarithmic", [(False, False), (False, True)])
def test_range_goes_to_one(logarithmic):
    scaling = make(logarithmic)
    np.testing.assert_allclose(scaling(np.stack([LOW, HIGH])), [[-1, -1], [1, 1]])
    middle = scaling(np.array([1.0, 1.0]))
    np.testing.assert_allclose(middle, [0, 0 if logarithmic[1] else -0.6], atol=1e-15)


@pytest.mark.parametrize("logarithmic", [(False, False), (False, True)])
def test_derivative_is_that_of_the_map(logarithmic):
    scaling, theta = make(logarithmic), np.array([0.3, 0.7])
    found = central_differences(scaling, theta, np.full(2, 1e-6))
    np.testing.assert_allclose(np.diag(found), scaling.derivative(theta), rtol=1e-8)


def test_zero_is_refused_by_name_and_on_a_linear_scale_answered():
    with pytest.raises(ValueError, match=r"\['sigma'\] cannot be zero .*theta_scale='linear'"):
        make()(np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert np.isfinite(make((False, False))(np.zeros(2))).all()


def test_scales_are_named():
    assert make().scales == {"mu": "linear", "sigma": "log"}


@pytest.mark.parametrize(
    ("setting", "scales"),
    [
        ("auto", ["auto", "auto"]),
        ("linear", ["linear", "linear"]),
        ({"sigma": "log"}, ["auto", "log"]),
        ({"mu": "linear", "sigma": "auto"}, ["linear", "auto"]),
    ],
)
def test_forms_of_the_setting(setting, scales):
    assert read_theta_scale(setting, ["mu", "sigma"], LOW) == scales


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("log", "mu is to be mapped by its logarithm, but its range begins at -1.0"),
        ({"sgima": "log"}, "unknown parameter 'sgima'; did you mean 'sigma'"),
        ({"mu": "root"}, r"theta_scale\['mu'\]='root'; expected one of"),
    ],
)
def test_settings_that_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        read_theta_scale(setting, ["mu", "sigma"], LOW)
