"""What AWS says when it does not do as it was asked, as what happened and what to do."""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

_LOG_IN = (
    "Log in, the first time by `aws configure sso` or `aws login` (docs/deploying.md), and set AWS_PROFILE if your "
    "profile has a name; for the local cloud run `. .local/env`"
)
_SSO = "Run `aws sso login`, with `--profile` if your profile has a name"
_LOGIN = "Run `aws login`, with `--profile` if your profile has a name"
_NETWORK = "Look at the network; the local cloud runs while `make local` does"
_CURES = {
    "NoCredentialsError": _LOG_IN,
    "PartialCredentialsError": _LOG_IN,
    "CredentialRetrievalError": _LOG_IN,
    "SSOTokenLoadError": _SSO,
    "TokenRetrievalError": _SSO,
    "UnauthorizedSSOTokenError": _SSO,
    "LoginRefreshRequired": _LOGIN,
    "LoginTokenLoadError": _LOGIN,
    "ProfileNotFound": "Set AWS_PROFILE to one that `aws configure list-profiles` names",
    "ConfigParseError": "Mend that file, or remove it and run `aws configure sso`",
    "NoRegionError": "Set AWS_REGION to the stack's region",
    "EndpointConnectionError": _NETWORK,
    "ConnectTimeoutError": _NETWORK,
    "ProxyConnectionError": _NETWORK,
}
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}
    | {"UnauthorizedOperation", "403"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
_SIGNED_WRONGLY = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"})
_TIME = re.compile(r"expired|not yet current")


def is_denied(error: Exception) -> bool:
    """Whether AWS says that a permission lacks."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _DENIED


def in_words(error: Exception, stack: str, *, named_by: str, permissions: str) -> str:
    """An error of botocore's in one or two sentences, without a full stop at the end.

    Args:
        error: what was raised.
        stack: the stack that was asked for.
        named_by: how a user names another stack, such as `STACK=`.
        permissions: what has to be allowed, listed.
    """
    kind, text = type(error).__name__, str(error).rstrip(".")
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if "does not exist" in text and code in ("ValidationError", "StackNotFound"):
            return f"there is no stack {stack} here; name yours by {named_by}, and its region by AWS_REGION"
        if is_denied(error):
            return f"{text}. It needs {permissions}"
        if code in _SKEWED or (code in _SIGNED_WRONGLY and "ignature" in text and _TIME.search(text)):
            return f"{text}. Set this machine's clock, such as by `sudo timedatectl set-ntp true`; AWS takes 5 minutes"
        if code in _EXPIRED:
            return f"{text}. Log in again; for the local cloud run `. .local/env`"
    return f"{text}. {_CURES[kind]}" if kind in _CURES else text
