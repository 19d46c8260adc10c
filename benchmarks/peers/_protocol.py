"""The published protocol of the SRGN paper for the Gaussian mean, written out in Keras.

A. Andreassen et al., Phys. Rev. D 103, 036001 (2021), arXiv:2010.03569, Section III A: a network f
of three layers of 50 nodes learns the weights, a network g of two layers of 128 nodes is trained
at every μ that Powell's method asks for, and the AUC between data and weighted simulation is what
it brings down. Where the text leaves something open the notebooks that the authors published
decide: half of the events stop the training, f takes batches of 10⁴ and ends in a softmax of two
nodes, g goes on from one μ to the next, the AUC is that of all events, and Powell starts at 0
with the tolerances of SciPy.

It runs in the environment of the peer, without skdctr.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.optimize import Bounds, minimize
from sklearn.metrics import roc_auc_score

LOW, HIGH = -2.0, 2.0
EPOCHS, MAX_ITERATIONS = 200, 100
BATCH_F, PATIENCE_F = 10_000, 10
BATCH_G, PATIENCE_G = 1000, 5


def network(n_inputs: int, hidden: tuple[int, ...], n_outputs: int) -> tf.keras.Model:
    """Build a classifier with ReLU."""
    layers = [tf.keras.layers.Dense(nodes, activation="relu") for nodes in hidden]
    last = tf.keras.layers.Dense(n_outputs, activation="sigmoid" if n_outputs == 1 else "softmax")
    return tf.keras.Sequential([tf.keras.Input((n_inputs,)), *layers, last])


def stop(patience: int) -> list[Any]:
    """Stop after so many epochs without a better validation loss, and restore the best."""
    return [tf.keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True)]


def halves(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Split n events in two at random."""
    order = rng.permutation(n)
    return order[: n // 2], order[n // 2 :]


def train_f(gen: np.ndarray, theta: np.ndarray, rng: np.random.Generator) -> tf.keras.Model:
    """Train f(x, μ) to tell events at μ from nominal ones, which get the same values of μ."""
    nominal = theta[:, 0] == 0
    paired = theta.copy()
    paired[nominal] = rng.permutation(theta[~nominal])[: np.count_nonzero(nominal)]
    events = np.hstack([gen, paired]).astype(np.float32)
    label = np.column_stack([nominal, ~nominal]).astype(np.float32)
    train, test = halves(len(events), rng)
    f = network(2, (50, 50, 50), 2)
    f.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    f.fit(
        events[train],
        label[train],
        validation_data=(events[test], label[test]),
        epochs=EPOCHS,
        batch_size=BATCH_F,
        callbacks=stop(PATIENCE_F),
        verbose=0,
    )
    return f


def fit_protocol(folder: Path, seed: int) -> dict[str, Any]:
    """Fit μ to the samples in a folder.

    Returns
    -------
    dict
        ``theta``, the fitted μ, and ``evaluations``, the number of times g was trained. The
        protocol quotes no error.
    """
    tf.keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    gen, theta, sim_gen, sim_reco, data = (
        np.load(folder / f"{name}.npy") for name in ("gen", "theta", "sim_gen", "sim_reco", "data")
    )
    f = train_f(gen, theta, rng)
    events = np.concatenate([sim_reco, data]).astype(np.float32)
    label = np.repeat([0.0, 1.0], [len(sim_reco), len(data)]).astype(np.float32)
    train, test = halves(len(events), rng)
    g = network(1, (128, 128), 1)

    def auc(mu: np.ndarray) -> float:
        inputs = np.hstack([sim_gen, np.full_like(sim_gen, mu[0])]).astype(np.float32)
        p = f.predict(inputs, batch_size=BATCH_F, verbose=0)
        weight = np.concatenate([p[:, 1] / p[:, 0], np.ones(len(data), dtype=np.float32)])
        g.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
        g.fit(
            events[train],
            label[train],
            sample_weight=weight[train],
            validation_data=(events[test], label[test], weight[test]),
            epochs=EPOCHS,
            batch_size=BATCH_G,
            callbacks=stop(PATIENCE_G),
            verbose=0,
        )
        score = g.predict(events, batch_size=BATCH_F, verbose=0)[:, 0]
        return float(roc_auc_score(label, score, sample_weight=weight))

    found = minimize(
        auc,
        np.zeros(1),
        method="Powell",
        bounds=Bounds([LOW], [HIGH]),
        options={"maxiter": MAX_ITERATIONS},
    )
    return {"theta": float(found.x[0]), "evaluations": int(found.nfev)}
