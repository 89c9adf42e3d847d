"""The one error of this package: a playlist's text, or a value for it, is not what it must be.

Readers must never raise anything else, whatever bytes they are given.
"""


class PlaylistError(Exception):
    """What is wrong and in which line of the text (from 1; 0 where it is no single line)."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {text}" if line else text)
        self.text = text
        self.line = line
