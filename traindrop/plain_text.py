"""Text of strangers in plain text: shown on one line, and in commands as exactly one word."""

from __future__ import annotations

import shlex


def printable(text: str) -> str:
    """The text with every character that is not printable as its escape, a line break as backslash and n.

    Nothing in it can then end a line, hide what follows, turn the direction of writing or be no UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shell_word(text: str) -> str:
    """The text as one word of a POSIX shell, on one line: `printf` makes what cannot be shown.

    A line break at the very end would be lost; no key that gets a message ends in one.
    """
    if text.isprintable():
        return shlex.quote(text)
    shown = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or chr(byte) in "/.:_-" else f"\\0{byte:03o}"
        for byte in text.encode(errors="replace")
    )
    return f"\"$(printf %b '{shown}')\""
