"""What runs inside the environment of one peer: train on files of events, write the weights.

The folder has the events as `_tasks.py` writes them. The result goes to weights.npy and
result.json. Nothing of skdctr is imported but by skdctr's own methods. All take the defaults of
their package, or what its documentation uses, except as their docstring says.

Usage: python _worker.py METHOD FOLDER SEED
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

# What folders of benchmarks share is one folder up.
sys.path.append(str(Path(__file__).parents[1]))
from _memory import peak

Array = np.ndarray
Predict = Callable[[Array], Array]
Reweight = Callable[[Array, Array], Predict]


def skdctr_method(seed: int) -> Reweight:
    """Return `DCTRReweighter` with defaults, θ = 0 for nominal and 1 for target events."""
    from skdctr import DCTRReweighter

    def fit(nominal: Array, target: Array) -> Predict:
        theta = np.repeat([0.0, 1.0], [len(nominal), len(target)])
        reweighter = DCTRReweighter(random_state=seed)
        reweighter.fit(np.concatenate([nominal, target]), theta)
        return reweighter.predict_weights

    return fit


def hep_ml_method(seed: int) -> Reweight:
    """Return `GBReweighter` with defaults."""
    from hep_ml.reweight import GBReweighter

    def fit(nominal: Array, target: Array) -> Predict:
        reweighter = GBReweighter(gb_args={"random_state": seed})
        reweighter.fit(nominal, target)
        return reweighter.predict_weights

    return fit


def omnifold_method(seed: int) -> Reweight:
    """Return `MultiFold` with one iteration, nominal events standing for both of its levels.

    The first step is a classifier of target against nominal events, the second learns the
    resulting weights again from the events of generator level, here the same ones: the weights
    are those of the second network, as the package's documentation takes them. Features are
    standardised with those of the nominal events, of which the package takes no care. Keras copies
    a compiled network only if it knows the loss by name.
    """
    import tensorflow as tf
    from omnifold import MLP, DataLoader, MultiFold
    from omnifold.net import weighted_binary_crossentropy

    tf.keras.utils.set_random_seed(seed)
    tf.keras.utils.get_custom_objects()["weighted_binary_crossentropy"] = (
        weighted_binary_crossentropy
    )

    def fit(nominal: Array, target: Array) -> Predict:
        mean, width = nominal.mean(axis=0), nominal.std(axis=0)
        mc, data = (((x - mean) / width).astype(np.float32) for x in (nominal, target))
        networks = [MLP(nominal.shape[1]) for _ in range(2)]
        unfolding = MultiFold(
            "peers", *networks, DataLoader(reco=data), DataLoader(reco=mc, gen=mc), niter=1
        )
        unfolding.Unfold()
        return lambda x: unfolding.reweight((x - mean) / width, unfolding.model2, batch_size=1000)

    return fit


def sbi_method(seed: int) -> Reweight:
    """Return `NRE_A`, whose loss is that of a binary classifier, with θ = 0 or 1.

    The weight is the ratio of the two likelihood-to-evidence ratios r(x, 1)/r(x, 0).
    """
    import torch
    from sbi.inference import NRE_A

    torch.manual_seed(seed)  # noqa: TID251

    def fit(nominal: Array, target: Array) -> Predict:
        theta = torch.repeat_interleave(
            torch.tensor([[0.0], [1.0]]), torch.tensor([len(nominal), len(target)]), dim=0
        )
        events = torch.as_tensor(np.concatenate([nominal, target]))
        inference = NRE_A(show_progress_bars=False)
        estimator = inference.append_simulations(theta, events).train()

        @torch.no_grad()
        def predict(x: Array) -> Array:
            parts = []
            for part in torch.as_tensor(x).split(100_000):
                at = [estimator(torch.full((len(part), 1), value), part) for value in (0.0, 1.0)]
                parts.append((at[1] - at[0]).double().exp().numpy())
            return np.concatenate(parts)

        return predict

    return fit


def skorch_method(seed: int) -> Reweight:
    """Return stock skorch, an MLP of three layers of 50 nodes as in the DCTR and SRGN papers.

    Adam, and early stopping by skorch's callback with the best weights restored, instead of ten
    epochs of SGD; batch size 128 and a fifth of the events for validation are skorch's own.
    Features are standardised.
    """
    import torch
    from skorch import NeuralNetBinaryClassifier
    from skorch.callbacks import EarlyStopping

    torch.manual_seed(seed)  # noqa: TID251

    def fit(nominal: Array, target: Array) -> Predict:
        events = np.concatenate([nominal, target])
        label = np.repeat([0.0, 1.0], [len(nominal), len(target)]).astype(np.float32)
        mean, width = events.mean(axis=0), events.std(axis=0)
        layers: list[Any] = []
        for n_inputs in (events.shape[1], 50, 50):
            layers += [torch.nn.Linear(n_inputs, 50), torch.nn.ReLU()]
        net = NeuralNetBinaryClassifier(
            torch.nn.Sequential(*layers, torch.nn.Linear(50, 1), torch.nn.Flatten(0)),
            max_epochs=200,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            iterator_train__shuffle=True,
            callbacks=[EarlyStopping(patience=10, load_best=True)],
            verbose=0,
        )
        net.fit(((events - mean) / width).astype(np.float32), label)

        def predict(x: Array) -> Array:
            p = net.predict_proba(((x - mean) / width).astype(np.float32))[:, 1].astype(float)
            return p / np.maximum(1 - p, np.finfo(np.float32).eps)

        return predict

    return fit


def srgn_fit(folder: Path, seed: int, objective: str) -> dict[str, Any]:
    """Fit μ with `SRGNFitter`, weights included."""
    from skdctr import SRGNFitter

    names = ("sim_gen", "sim_reco", "data", "gen", "theta")
    sample = {name: np.load(folder / f"{name}.npy") for name in names}
    fitter = SRGNFitter(objective=objective, random_state=seed).fit(
        *(sample[name] for name in names[:3]), gen=sample["gen"], theta=sample["theta"]
    )
    return {"theta": float(fitter.theta_[0]), "quoted": float(fitter.covariance_[0, 0] ** 0.5)}


def protocol_fit(folder: Path, seed: int) -> dict[str, Any]:
    """Fit μ by the protocol that the SRGN paper published."""
    from _protocol import fit_protocol

    return fit_protocol(folder, seed)


REWEIGHTING: dict[str, Callable[[int], Reweight]] = {
    "skdctr": skdctr_method,
    "hep_ml": hep_ml_method,
    "omnifold": omnifold_method,
    "sbi": sbi_method,
    "skorch": skorch_method,
}
FITS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "skdctr, optimal observable": lambda folder, seed: srgn_fit(folder, seed, "optimal_observable"),
    "skdctr, AUC": lambda folder, seed: srgn_fit(folder, seed, "auc"),
    "SRGN protocol": protocol_fit,
}
# What to import before the clock starts, and the packages whose versions count.
PACKAGES = {
    "skdctr": ("skdctr", "torch"),
    "hep_ml": ("hep_ml",),
    "omnifold": ("omnifold", "tensorflow", "keras"),
    "sbi": ("sbi", "torch"),
    "skorch": ("skorch", "torch"),
    "SRGN protocol": ("tensorflow", "keras", "scipy"),
}


class Clock:
    """Wall clock and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, name: str) -> dict[str, float]:
        """Return both times, named."""
        return {
            f"{name}_wall": time.perf_counter() - self._wall,
            f"{name}_cpu": time.process_time() - self._cpu,
        }


def reweight(method: str, folder: Path, seed: int) -> dict[str, Any]:
    """Learn weights and predict those of the judged events."""
    fit = REWEIGHTING[method](seed)
    base = peak()
    nominal, target, judged = (
        np.load(folder / f"{name}.npy") for name in ("nominal", "target", "judged_nominal")
    )
    clock = Clock()
    predict = fit(nominal, target)
    result = clock.read("fit")
    clock = Clock()
    weight = predict(judged)
    result |= clock.read("predict")
    np.save(folder / "weights.npy", np.asarray(weight, dtype=float).reshape(len(judged)))
    return {**result, "base": base, "peak": peak()}


def main(method: str, folder: Path, seed: int) -> None:
    """Run one method on the events of a folder."""
    packages = PACKAGES[method.partition(",")[0]]
    for package in packages:
        __import__(package)
    if method in REWEIGHTING:
        result = reweight(method, folder, seed)
    else:
        base, clock = peak(), Clock()
        result = FITS[method](folder, seed)
        result |= {**clock.read("fit"), "base": base, "peak": peak()}
    result["versions"] = {"Python": platform.python_version()} | {p: version(p) for p in packages}
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
