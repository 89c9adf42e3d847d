"""The two ways in which media work fails, kept apart so that nobody has to guess.

`Refused` is a verdict about the source and is never retried; `MediaFailed` is about this attempt.
This module must never hold a code: codes are written where they are raised, next to their reason.
"""


class Refused(Exception):
    """The source can never be published (ING-8).

    `code` is stable (snake_case, part of the API), `text` a sentence that a creator understands.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class MediaFailed(Exception):
    """This attempt failed and another may succeed; the fold decides.

    `code` is stable (snake_case), `text` says what happened, for an operator.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
