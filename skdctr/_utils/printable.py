"""Text that can be printed wherever the output goes."""

from __future__ import annotations

import sys

__all__ = ["printable"]

# What Windows' code page 1252 and ASCII lack, as a physicist would type it.
_TYPED = {
    "θ": "theta",
    "σ": "sigma",
    "χ²": "chi2",
    "Δ": "Delta",
    "∇": "grad",
    "√": "sqrt",
    "±": "+-",
    "²": "^2",
    "₀": "_0",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "×": "x",
    "·": "*",
    "−": "-",
    "–": "-",
    "…": "...",
    "“": '"',
    "”": '"',
    "’": "'",
}


def printable(text: str) -> str:
    """Replace what the encoding of the standard output lacks.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The text itself where the encoding has all of it. Else Greek letters and signs are spelled
        out as far as need be, and what remains is escaped as in Python.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if _fits(text, encoding):
        return text
    for sign, typed in _TYPED.items():
        if not _fits(sign, encoding):
            text = text.replace(sign, typed)
    return text.encode(encoding, errors="backslashreplace").decode(encoding)


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    except LookupError:
        # A codec that Python does not know cannot be asked.
        return True
    return True
