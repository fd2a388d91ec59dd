"""Strangers' texts as they may be shown: bounded, and without signs that change how the text around them reads."""

from __future__ import annotations

import unicodedata

LONGEST = 1_200  # characters of a text that are shown
LABEL = 80  # of a name, a reason, a data set

# Letters, marks, numbers, punctuation, symbols and spaces are shown. Not: control characters, and format characters,
# by which a text can run backwards or hide (bidirectional overrides, zero-width signs).
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINER = "\u200d"  # holds emoji and some scripts' letters together


def plain(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning and its end (the answer stands at the end); what must not be shown is a �."""
    cut = text if len(text) <= longest else f"{text[: longest // 2]} […] {text[-longest // 2 :]}"
    return "".join(sign if _is_shown(sign) else "\ufffd" for sign in cut)


def label(text: str) -> str:
    """A short text on one line."""
    return " ".join(plain(text[: LABEL + 1], LABEL + 1)[:LABEL].split())


def _is_shown(sign: str) -> bool:
    return sign in "\n\t" or sign == _JOINER or unicodedata.category(sign) not in _HIDDEN
