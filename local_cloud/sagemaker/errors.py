"""The errors of the API and of a job, each named by what it does to the caller or the job."""

from __future__ import annotations


class ApiError(Exception):
    """A request that is answered with an AWS error instead of a result."""

    def __init__(self, code: str, message: str, status: int = 400):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ValidationError(ApiError):
    """A request that AWS answers with ValidationException."""

    def __init__(self, message: str):
        super().__init__("ValidationException", message)


class JobFailure(Exception):
    """Ends the job as Failed; the text is its FailureReason."""


class InternalFailure(JobFailure):
    """A failure of the service itself, which a RetryStrategy may retry."""

    def __init__(self) -> None:
        super().__init__("InternalServerError: We encountered an internal error. Please try again.")


class Cancelled(Exception):
    """The job was stopped, or ran out of time, in the middle of a transfer."""
