"""The sentences that a result has beside its numbers, and the warnings that they become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from skdctr._utils.warn import warn_user
from skdctr.exceptions import ConvergenceWarning

__all__ = ["UNKNOWN_WEIGHTS", "Message", "warn_of"]


class Message(str):
    """A sentence of a result, which knows the warning that issues it.

    Parameters
    ----------
    text : str
        The sentence.
    category : type of Warning or None
        Class of the warning. A message without one stands in the result only.
    """

    __slots__ = ("category",)
    category: type[Warning] | None

    def __new__(cls, text: str, category: type[Warning] | None = ConvergenceWarning) -> Self:
        """Make a string that has a category."""
        message = super().__new__(cls, text)
        message.category = category
        return message

    def __reduce__(self) -> tuple[type[Self], tuple[str, type[Warning] | None]]:
        return type(self), (str(self), self.category)


# It holds for every fit of the kind and stands in the result, whose errors are NaN; there is no
# warning beside it.
UNKNOWN_WEIGHTS = Message(
    "the error of the learned weights is not known, and so that of θ is not: pass a DCTRReweighter "
    "with n_estimators of 2 or more, or fit it in each of several runs (n_runs); "
    "known_covariance has the other sources",
    None,
)


def warn_of(messages: Iterable[Message]) -> None:
    """Issue the messages of a result as warnings of their categories.

    Parameters
    ----------
    messages : iterable of Message
        Messages; those without a category are passed over.
    """
    for message in messages:
        if message.category is not None:
            warn_user(str(message), message.category)
