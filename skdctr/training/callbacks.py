"""Callbacks of the user as skorch takes them, the package's own, and the check of the former."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm import tqdm

from skdctr._utils.spelling import did_you_mean

__all__ = ["ProgressBar", "check_callbacks", "holds"]

# Callbacks that every net has, or has where the user wants to see more, and that may be changed.
_OWN = ("epoch_timer", "print_log")


class ProgressBar(Callback):
    """A progress bar over the epochs that shows the training and the validation loss."""

    def __init__(self, description: str) -> None:
        self.description = description

    def __getstate__(self) -> dict[str, Any]:
        # The bar holds the terminal, which cannot be pickled.
        return {name: value for name, value in vars(self).items() if name != "bar_"}

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc=self.description, unit="epoch")

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Move the bar on."""
        row = net.history[-1]
        losses = {key: f"{row[key]:.5f}" for key in ("train_loss", "valid_loss") if key in row}
        self.bar_.set_postfix(losses, refresh=False)
        self.bar_.update()

    def close(self) -> None:
        """Close the bar and drop it."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_


def holds(callbacks: Iterable[Any], kind: type[Callback]) -> bool:
    """Say whether a callback of a kind is among these: instances, classes, or pairs with a name."""
    for given in callbacks:
        callback = given[-1] if isinstance(given, (tuple, list)) and given else given
        if issubclass(callback if isinstance(callback, type) else type(callback), kind):
            return True
    return False


def check_callbacks(given: Sequence[Any] | None, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Check callbacks, and that there is one for each of their parameters.

    Parameters
    ----------
    given : sequence, or None
        Callbacks as skorch takes them: instances, classes, or pairs with a name.
    params : mapping
        Values by ``name`` or ``name__parameter``.

    Returns
    -------
    tuple
        The callbacks as they are.

    Raises
    ------
    TypeError
        If one is no callback.
    ValueError
        If a parameter is of no callback.
    """
    callbacks = () if given is None else tuple(given)
    named, unnamed = [], []
    for each in callbacks:
        is_pair = isinstance(each, (tuple, list))
        name, callback = each if is_pair and len(each) == 2 else ("", each)
        if is_pair and isinstance(name, str) and (callback is None or holds([callback], Callback)):
            named.append(name)
        elif not is_pair and holds([callback], Callback):
            unnamed.append(getattr(callback, "__name__", type(callback).__name__))
        else:
            raise TypeError(
                f"callbacks has {each!r}; expected callbacks of skorch: instances or classes that "
                "derive from skorch.callbacks.Callback, or pairs (name, callback) of these."
            )
    known = [*named]
    for name, count in Counter(unnamed).items():
        known += [name] if count == 1 else [f"{name}_{k + 1}" for k in range(count)]
    for param in params:
        name = param.partition("__")[0]
        if name not in {*known, *_OWN}:
            raise ValueError(
                f"callbacks__{param}: there is no callback {name!r}; " + did_you_mean(name, known)
            )
    return callbacks
