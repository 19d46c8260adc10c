"""
============================================
Model selection with GridSearchCV
============================================

Reweighters and fitters are scikit-learn estimators: they go into a Pipeline, and GridSearchCV
picks the best one by their own scores, higher being better.
"""

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.datasets import make_gaussian_2d
from skdctr.networks import MLP, SeparableNetwork
from skdctr.plotting import ClosureDisplay

toy = make_gaussian_2d(
    20_000,
    mu=-0.5,
    sigma=0.75,
    bounds={"mu": (-1.5, 1.5), "sigma": (0.5, 1.5)},
    random_state=1,
)

# %%
# Which network? The log-weight of two Gaussians is a polynomial of second degree in x. The score is
# minus the cross-entropy on events that the network has not seen. The nominal events come first:
# shuffle, or a fold has one class only.

pipeline = make_pipeline(PolynomialFeatures(include_bias=False), DCTRReweighter(random_state=1))
search = GridSearchCV(
    pipeline,
    {
        "polynomialfeatures__degree": [1, 2],
        "dctrreweighter__module": [SeparableNetwork, MLP],
        "dctrreweighter__max_epochs": [10],
    },
    cv=KFold(3, shuffle=True, random_state=1),
).fit(toy.gen, toy.theta)
for parameters, mean, deviation in zip(
    search.cv_results_["params"],
    search.cv_results_["mean_test_score"],
    search.cv_results_["std_test_score"],
    strict=True,
):
    module = parameters["dctrreweighter__module"].__name__
    print(
        f"degree {parameters['polynomialfeatures__degree']}, "
        f"{module:16s}: {mean:.5f} ± {deviation:.5f}"
    )

# %%
# Which model? The exponential tilt shifts the mean and nothing else; the data are narrower than the
# simulation. The fitter's score, 1 - AUC of a fresh classifier, is 0.5 where nothing tells data
# from simulation, and finds out. `FrozenEstimator` keeps a fitted reweighter through the
# cloning that a search does.

reweighter = DCTRReweighter(module=SeparableNetwork, random_state=1).fit(toy.gen, toy.theta)
models = {
    "mean and width": FrozenEstimator(reweighter),
    "mean only": AnalyticReweighter(),
}
search = GridSearchCV(
    SRGNFitter(hidden_layer_sizes=(32,), batch_size=1000, random_state=1),
    {"reweighter": list(models.values())},
    cv=3,
).fit(toy.sim_gen, toy.sim_reco, data=toy.data)
for name, mean, deviation in zip(
    models,
    search.cv_results_["mean_test_score"],
    search.cv_results_["std_test_score"],
    strict=True,
):
    print(f"{name}: score {mean:.4f} ± {deviation:.4f}")
best = search.best_estimator_
print(best.result_)

# %%
# The chosen model, at its best parameters, against the data.

ClosureDisplay.from_estimator(
    best.reweighter_,
    toy.sim_gen,
    toy.data,
    best.theta_,
    observable=toy.sim_reco,
    target_name="Data",
    xlabel="x at simulation level [nominal width]",
)
plt.show()
