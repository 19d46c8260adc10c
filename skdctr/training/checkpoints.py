"""What callbacks give away of a network: to files, and to those who follow experiments.

skorch's callbacks know one network. A fit may train several: for each member of an ensemble and
each part of a cross-fit, and of two kinds of which one is kept. So the files of each have names of
their own, and what a callback does with the network when all is done waits until all is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import (
    Checkpoint,
    MlflowLogger,
    NeptuneLogger,
    TensorBoard,
    TrainEndCheckpoint,
    WandbLogger,
)
from skorch.history import History

__all__ = ["file_names", "network_prefix", "publish", "publishes"]

# These close what they write to as a training ends, so that a second one could not write to it.
_CLOSING = (MlflowLogger, NeptuneLogger, TensorBoard)


def network_prefix(number: int) -> str:
    """Return what names of files of a network begin with, by its number in `nets_`, from 0."""
    return "" if number == 0 else f"network{number + 1}_"


def publishes(callback: Any) -> bool:
    """Say whether the end of a training is when a callback gives its network away."""
    return isinstance(callback, (TrainEndCheckpoint, *_CLOSING))


@contextmanager
def file_names(callbacks: Sequence[tuple[str, Any]], prefix: str) -> Iterator[None]:
    """Let names of the files that callbacks write and read begin with a prefix in the block.

    Parameters
    ----------
    callbacks : sequence of (str, Callback)
        The initialised callbacks of a net.
    prefix : str
        It stands before the last part of each path.
    """
    checkpoints = {}
    for _, callback in callbacks:
        for each in (callback, getattr(callback, "checkpoint", None)):
            checkpoint = getattr(each, "checkpoint_", each)
            if isinstance(checkpoint, Checkpoint):
                checkpoints[id(checkpoint)] = checkpoint
    given = [(checkpoint, dict(vars(checkpoint))) for checkpoint in checkpoints.values()]
    for checkpoint, attributes in given:
        for name, path in attributes.items():
            if name.startswith("f_") and isinstance(path, str):
                folder, file = os.path.split(path)
                setattr(checkpoint, name, os.path.join(folder, prefix + file))  # noqa: PTH118
    try:
        yield
    finally:
        for checkpoint, attributes in given:
            vars(checkpoint).update(
                {name: path for name, path in attributes.items() if name.startswith("f_")}
            )


def publish(net: NeuralNet, *, last: bool = True) -> None:
    """Let callbacks give away a network that is kept, as it is when a fit is done.

    Checkpoints of earlier epochs stay; the last one of each callback becomes the network that is
    kept.

    Parameters
    ----------
    net : NeuralNet
        The trained net.
    last : bool, default=True
        Whether the fit is done with it. Before, what is written to is not closed.
    """
    if not getattr(net, "writes_files_", True):
        return
    ending: tuple[Any, ...] = (TrainEndCheckpoint, *_CLOSING) if last else (TrainEndCheckpoint,)
    with file_names(net.callbacks_, net.file_prefix_):
        for _, callback in net.callbacks_:
            if isinstance(callback, ending):
                callback.on_train_end(net, X=None, y=None)
            elif isinstance(callback, Checkpoint):
                _save_again(callback, net)
            elif last and isinstance(callback, WandbLogger) and callback.save_model:
                with (Path(callback.wandb_run.dir) / "best_model.pth").open("wb") as file:
                    net.save_params(f_params=file)


def _save_again(checkpoint: Checkpoint, net: NeuralNet) -> None:
    """Save the network in place of the last one that a callback has saved, if it has."""
    history, event = net.history, checkpoint.event_name
    epochs = [k for k, row in enumerate(history.to_list()) if event is None or row.get(event)]
    if not epochs:
        return
    net.history = History(history.to_list()[: epochs[-1] + 1])
    try:
        checkpoint.save_model(net)
    finally:
        net.history = history
