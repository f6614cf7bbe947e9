"""Errors as classes, one for each kind."""

from __future__ import annotations

import builtins
import itertools
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from ._value import dataclass

__all__ = [
    "Attempt",
    "BadRequestError",
    "CancelledError",
    "ConfigError",
    "ConflictError",
    "ConnectionError",
    "ContentPolicyError",
    "ContextTooLongError",
    "CredentialError",
    "DecodeError",
    "EmbeddingError",
    "InvalidInputError",
    "LimitReachedError",
    "ModelUnavailableError",
    "NotFoundError",
    "OverloadedError",
    "QuotaExhaustedError",
    "RateLimitError",
    "RegionError",
    "StorageError",
    "SyntraError",
    "TimeoutError",
    "TransientError",
    "TruncatedError",
    "UnsupportedError",
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a call that failed in the end."""

    provider: str
    model: str
    kind: str
    message: str
    elapsed_ms: int


class SyntraError(Exception):
    """An error of the library. A provider of your own may raise one to say of what kind its failure is.

    ``retry`` is ``"never"``, ``"same_target"`` (after ``retry_after`` seconds, if given) or ``"other_target"``; ``phase`` is
    ``"before_send"``, ``"before_content"`` or ``"after_content"``; ``attempts`` are the tries that led here, oldest first. The
    exception of a Python object that caused it is its ``__cause__``.
    """

    kind: str = "unknown"

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        retry: str | None = None,
        phase: str | None = None,
        attempts: Sequence[Attempt] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.retry = retry
        self.phase = phase
        self.attempts = tuple(attempts)

    def __str__(self) -> str:
        where = "/".join(part for part in (self.provider, self.model) if part)
        status = f" (HTTP {self.status})" if self.status is not None else ""
        return f"{where}{status}: {self.message}" if where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), dict(self.__dict__)))


def _rebuild(cls: type[SyntraError], state: dict[str, Any]) -> SyntraError:
    error = cls(state["message"])
    error.__dict__.update(state)
    return error


class InvalidInputError(SyntraError, ValueError):
    """The caller gave something wrong; the message names it and what would be right."""

    kind = "invalid_input"


class NotFoundError(SyntraError, LookupError):
    """A thing that was named does not exist."""

    kind = "not_found"


class ConflictError(SyntraError):
    """A write met a newer state than it expected."""

    kind = "conflict"


class BadRequestError(SyntraError):
    """The provider refused the request as malformed."""

    kind = "bad_request"


class CredentialError(SyntraError):
    """The key is missing, wrong or not allowed."""

    kind = "credential"


class RegionError(SyntraError):
    """The provider does not serve this region or account."""

    kind = "region"


class ModelUnavailableError(SyntraError):
    """The model is unknown to the provider, retired, or not open to this key."""

    kind = "model_unavailable"


class ContextTooLongError(SyntraError):
    """The conversation does not fit the model's window."""

    kind = "context_too_long"


class ContentPolicyError(SyntraError):
    """The provider's policy filter refused the content."""

    kind = "content_policy"


class RateLimitError(SyntraError):
    """Too many requests or tokens in too short a time."""

    kind = "rate_limit"


class QuotaExhaustedError(SyntraError):
    """The paid quota or balance is used up."""

    kind = "quota_exhausted"


class OverloadedError(SyntraError):
    """The provider has no capacity now."""

    kind = "overloaded"


class TransientError(SyntraError):
    """The provider failed in passing."""

    kind = "transient"


class TimeoutError(SyntraError, builtins.TimeoutError):
    """A deadline passed."""

    kind = "timeout"


class ConnectionError(SyntraError, builtins.ConnectionError):
    """The connection could not be made or broke."""

    kind = "connection"


class TruncatedError(SyntraError):
    """The answer ended before its end."""

    kind = "truncated"


class DecodeError(SyntraError):
    """The answer could not be understood."""

    kind = "decode"


class UnsupportedError(SyntraError):
    """The model or provider cannot do what was asked; known before sending."""

    kind = "unsupported"


class EmbeddingError(SyntraError):
    """The embedder failed or gave a vector that cannot be used."""

    kind = "embedding"


class StorageError(SyntraError):
    """The store failed."""

    kind = "storage"


class CancelledError(SyntraError):
    """The call was cancelled, or its Syntra is closed."""

    kind = "cancelled"


class ConfigError(SyntraError):
    """The set-up is wrong or incomplete."""

    kind = "config"


class LimitReachedError(SyntraError):
    """A limit that the host set is reached."""

    kind = "limit_reached"


CLASSES: dict[str, type[SyntraError]] = {
    cls.kind: cls for cls in list(globals().values()) if isinstance(cls, type) and issubclass(cls, SyntraError)
}


class Kept:
    """Exceptions of Python objects, kept until the library's error that they cause comes back."""

    limit: ClassVar[int] = 256

    def __init__(self) -> None:
        # Objects fail on several threads at once.
        self._number = itertools.count(1).__next__
        self._kept: dict[int, BaseException] = {}

    def keep(self, error: BaseException) -> int:
        number = self._number()
        self._kept[number] = error
        while len(self._kept) > self.limit:
            self._kept.pop(next(iter(list(self._kept))), None)
        return number

    def get(self, number: int | None) -> BaseException | None:
        return None if number is None else self._kept.get(number)


def from_dict(data: dict[str, Any], kept: Kept) -> SyntraError:
    """The exception that an error of the library (as JSON) means."""
    cls = CLASSES.get(data["kind"], SyntraError)
    after = data.get("retry_after_ms")
    error = cls(
        data["message"],
        provider=data.get("provider"),
        model=data.get("model"),
        status=data.get("status"),
        code=data.get("code"),
        retry_after=None if after is None else after / 1000,
        retry=data.get("retry"),
        phase=data.get("phase"),
        attempts=[Attempt(**a) for a in data.get("attempts") or ()],
    )
    error.kind = data["kind"]
    error.__cause__ = kept.get(data.get("failure"))
    return error


def from_json(text: str, kept: Kept) -> SyntraError:
    """As :func:`from_dict`, from text."""
    return from_dict(json.loads(text), kept)
