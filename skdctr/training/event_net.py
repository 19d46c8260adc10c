"""The skorch nets that all trainings use, on batches of weighted events that lie on the device."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from torch import Tensor
from torch.utils.data import Dataset

from skdctr._utils.interrupts import noted_ctrl_c
from skdctr._utils.warn import warn_user
from skdctr.events.tensors import PackedTensors
from skdctr.training.batches import EventDataset
from skdctr.training.checkpoints import publishes

__all__ = ["ClassifierNet", "EventNet", "Interrupted"]


class Interrupted(BaseException):
    """A Ctrl-C of the user.

    skorch takes a KeyboardInterrupt for a callback's wish to stop, and carries on; it does not know
    this one.
    """


class EventNet(NeuralNet):
    """A skorch net on `EventDataset`, whose epochs record losses without a stop at every batch.

    Wherever skorch takes X, it takes an `EventDataset`, or a dict of tensors on the network's
    scale: "x" has n events, "theta" of shape (n, p) the parameters where the network takes some,
    and "weight" of shape (n,) their weights, which only training and losses need.
    """

    callbacks_: list[tuple[str, Any]]
    history: Any
    # Name of the losses of batches in the history, behind "train" or "valid".
    loss_name = "_loss"
    # Whether callbacks of the user may read the loss of a batch as soon as it is known. A GPU is
    # then waited for at every batch; otherwise once a pass.
    reads_batches_ = True
    # What names of files begin with that callbacks write, and whether this process writes any.
    file_prefix_ = ""
    writes_files_ = True
    _stopped_by_callback = False
    _begins = False

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, and note where one of them ends the training.

        Those that give the network away at the end of a training wait for `publish`, as the network
        may be refitted or rejected.
        """
        callbacks = self.callbacks_
        if method_name == "on_train_end":
            self.callbacks_ = [pair for pair in callbacks if not publishes(pair[1])]
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            self._stopped_by_callback = True
            raise
        finally:
            if method_name == "on_train_end":
                self.callbacks_ = callbacks

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Note that callbacks may load a state that is not this network's."""
        super().on_train_begin(*args, **kwargs)
        self._begins = True

    def fit_loop(self, *args: Any, **kwargs: Any) -> EventNet:
        """Run the epochs; a Ctrl-C ends the fit, which skorch would carry on from in silence."""
        self._stopped_by_callback = self._begins = False
        with noted_ctrl_c() as ctrl_c:
            try:
                super().fit_loop(*args, **kwargs)
            except KeyboardInterrupt as interrupt:
                if self._stopped_by_callback and not ctrl_c.pressed:
                    raise
                raise Interrupted from interrupt
        return self

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Call the network on inputs as they are: they lie on the device, and may be sets."""
        inputs = {name: value for name, value in x.items() if name != "weight"}
        output: Tensor = self.module_(**inputs, **fit_params)
        return output

    def get_loss(
        self, y_pred: Tensor, y_true: Tensor, X: Any = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Apply the weighted criterion."""
        loss: Tensor = self.criterion_(y_pred, y_true, X["weight"])
        return loss

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return the data set of the events that skorch's methods are given."""
        if isinstance(X, Mapping):
            return _dataset_of(X, y, self.device)
        if not isinstance(X, Dataset):
            raise TypeError(
                f"X is {type(X).__name__}; expected an EventDataset, or a dict of the network's "
                "inputs, which DCTRReweighter.network_inputs(X, theta) makes of events and θ."
            )
        return X

    def get_params(self, deep: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Return the parameters, and with them the number of features that the network is for."""
        params: dict[str, Any] = super().get_params(deep=deep, **kwargs)
        if deep and hasattr(self, "n_features_in_"):
            # InputShapeSetter asks for it, and leaves a network alone that suits the events.
            params["module__n_features"] = self.n_features_in_
        return params

    def set_params(self, **kwargs: Any) -> EventNet:
        """Set parameters; the network itself is made before, with arguments that suit the events.

        Raises
        ------
        ValueError
            If an argument of the network is given.
        """
        for name, value in kwargs.items():
            if name.startswith("module__"):
                raise ValueError(
                    f"{name}={value!r}: the network of this net is made already, with the "
                    f"n_features={getattr(self, 'n_features_in_', None)} that suit its events. "
                    "Give arguments of the network to the estimator, and to InputShapeSetter "
                    "param_name='n_features', or leave it out."
                )
        super().set_params(**kwargs)
        return self

    def load_params(self, *args: Any, **kwargs: Any) -> None:
        """Load what `save_params` or a checkpoint has written, all of it or nothing.

        Raises
        ------
        RuntimeError, ValueError
            If the files are of another network. Where a callback loads them as a training begins,
            this is a warning, and the training begins anew.
        """
        if not self.initialized_:
            self.initialize()
        history = self.history
        states = [
            (part, copy.deepcopy(part.state_dict())) for part in (self.module_, self.optimizer_)
        ]
        nominal = states[0][1].get("theta_nominal")
        try:
            super().load_params(*args, **kwargs)
            loaded = self.module_.state_dict().get("theta_nominal")
            if nominal is not None and not torch.allclose(nominal, loaded, atol=1e-6):
                raise ValueError("the file is of a network for another θ₀ or another range of θ.")
        except Exception as error:
            self.history = history
            for part, state in states:
                part.load_state_dict(state)
            if not (self._begins and isinstance(error, (RuntimeError, ValueError))):
                raise
            warn_user(
                f"the training of this {type(self.module_).__name__} begins anew, as a callback "
                f"has loaded files of another network: {str(error).splitlines()[0]} Name the "
                "network, such as module=SeparableNetwork, so that it is trained alone.",
                UserWarning,
            )

    def release(self) -> EventNet:
        """Let go of what only training needs; a subclass may return another net."""
        return self

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one pass; the sum of losses stays on the device until the pass ends."""
        if iterator is None:
            return
        total: Tensor | float = 0.0
        rows = 0
        batches = self.history[-1]["batches"]
        waiting: list[tuple[dict[str, Any], Tensor]] = []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            size, loss = self.events_in(batch), self.loss_of(step).detach()
            total = total + loss * size
            rows += size
            batches[-1][prefix + "_batch_size"] = size
            if self.reads_batches_:
                batches[-1][prefix + self.loss_name] = loss.tolist()
            else:
                waiting.append((batches[-1], loss))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        if waiting:
            losses = torch.stack([loss for _, loss in waiting]).tolist()
            for (row, _), value in zip(waiting, losses, strict=True):
                row[prefix + self.loss_name] = value
        self.history.record(prefix + "_batch_count", len(iterator))
        self.record_losses(prefix, total, rows)

    def events_in(self, batch: Any) -> int:
        """Count the events of a batch."""
        return len(batch[1])

    def loss_of(self, step: Any) -> Tensor:
        """Return the mean loss of a batch, which is averaged over the batches."""
        loss: Tensor = step["loss"]
        return loss

    def record_losses(self, prefix: str, total: Tensor | float, rows: int) -> None:
        """Write the mean loss over all events into the history."""
        self.record_score(prefix + "_loss", float(total) / rows)

    def record_score(self, name: str, value: float) -> None:
        """Write a number of an epoch into the history, and whether it is the lowest so far."""
        earlier = [row[name] for row in self.history.to_list()[:-1] if name in row]
        lowest = min((each for each in earlier if not math.isnan(each)), default=math.inf)
        self.history.record(name, value)
        self.history.record(name + "_best", value < lowest)


class ClassifierNet(ClassifierMixin, EventNet):
    """The net of a classifier, whose network returns the logarithm of a ratio of densities.

    Class 1 are the events of the numerator: in a reweighter the varied ones.
    """

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The two classes."""
        return np.array([0, 1])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute the probabilities of the classes, as frequent as in training.

        Parameters
        ----------
        X : EventDataset or dict of Tensor
            n events on the network's scale.

        Returns
        -------
        ndarray of shape (n, 2)
            The columns are those of `classes_`.
        """
        logit = self.forward(X).detach().double() + getattr(self.criterion_, "prior_logit", 0.0)
        return torch.stack([torch.sigmoid(-logit), torch.sigmoid(logit)], dim=1).numpy()

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the more probable class of each event.

        Parameters
        ----------
        X : EventDataset or dict of Tensor
            n events on the network's scale.

        Returns
        -------
        ndarray of int of shape (n,)
        """
        return (self.predict_proba(X)[:, 1] > 0.5).astype(np.int64)


def _dataset_of(inputs: Mapping[str, Any], y: Any, device: Any) -> EventDataset:
    """Make a data set of a network's inputs, (n, ...), and of classes or values, (n,)."""
    unknown = inputs.keys() - {"x", "theta", "weight"}
    if unknown or "x" not in inputs:
        raise ValueError(f"X has {sorted(inputs)}; expected 'x', and 'theta' and 'weight' or not.")
    columns = dict(inputs)
    for name, column in columns.items():
        if not isinstance(column, PackedTensors):
            columns[name] = torch.as_tensor(column, dtype=torch.float32, device=device)
    n = len(columns["x"])
    columns["y"] = torch.zeros(n, device=device) if y is None else torch.as_tensor(y, device=device)
    for name, column in columns.items():
        if len(column) != n:
            raise ValueError(f"{name!r} has {len(column)} events, 'x' has {n}; give as many.")
    weight = columns.get("weight", torch.ones(1, device=device).expand(n))
    return EventDataset(columns["x"], columns["y"], weight, columns.get("theta"))
