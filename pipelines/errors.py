"""The exceptions that cross rooms, and nothing else: no formatting of tracebacks, no exit codes, no HTTP.

ResulthouseError                 one sentence a data engineer can act on; never holds a key or token
├── SettingsError                usage or settings: the command line ends with exit code 2
├── BusyError                    another run holds the lock (exit code 1)
├── LakeError                    a lake file that is damaged, foreign or of another account
├── WarehouseError               the warehouse cannot be opened, loaded or published
└── FetchError                   a request that gave no usable answer
    ├── HaltedError              401/403 for the whole provider: stop it, let the others finish
    ├── GoneError                404/410 for one entity: a reject `gone`, nothing fails
    ├── RejectedError            another 4xx for one entity: stays due, others go on
    ├── RefusedError             a body that is no usable JSON, too large or of the wrong shape: lands nothing
    └── DeferredError            retries, deadline or budget used up: this scope stops, its coverage does not move
"""


class ResulthouseError(Exception):
    """Base of every error that is meant for a user; `str(error)` is the sentence."""


class SettingsError(ResulthouseError):
    """A setting or an argument is missing, half given or unusable."""


class BusyError(ResulthouseError):
    """Another process holds the lock that this one needs."""


class LakeError(ResulthouseError):
    """A lake file is damaged, foreign, or belongs to another account."""


class WarehouseError(ResulthouseError):
    """The warehouse cannot be opened, loaded or published."""


class FetchError(ResulthouseError):
    """A request gave no usable answer.

    `status` is the HTTP status or None, `rule` the word under which it appears in `meta.rejects`.
    """

    rule = "unfetched"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class HaltedError(FetchError):
    """The provider refuses our credentials: nothing more can be fetched from it in this sync."""

    rule = "forbidden"


class GoneError(FetchError):
    """The provider says that this one entity does not exist (any more)."""

    rule = "gone"


class RejectedError(FetchError):
    """The provider refuses the request for this one entity."""


class RefusedError(FetchError):
    """The answer is no usable JSON document of the documented shape.

    The body itself is not kept (it could not be masked); its hash and size are.
    """

    rule = "refused"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body_sha256: str = "",
        body_bytes: int = 0,
        content_type: str = "",
    ) -> None:
        super().__init__(message, status=status)
        self.body_sha256 = body_sha256
        self.body_bytes = body_bytes
        self.content_type = content_type


class DeferredError(FetchError):
    """Retries, deadline or rate-limit budget are used up: try again in the next sync."""
