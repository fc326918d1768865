"""What to do about a failure that AWS or the training worded, by that wording: AWS gives codes for few of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACTION = re.compile(r"not authorized to perform: ([\w:*-]+)")
_NO_ACTION = "what it asked for"
_AGAIN = "then redrive the execution"
_DEPLOY = f"Deploy the stack again, which restores its roles and policies, {_AGAIN}"


@dataclass(frozen=True)
class Cure:
    """What happened, in a clause without a full stop, and what to do about it, in sentences."""

    what: str
    todo: str


def cure_of(error: str, cause: str) -> Cure | None:
    """What is known of a failure beyond its own words; None where they say what to do.

    Args:
        error: name of the error that the execution ended with.
        cause: its cause, as a person is shown it.
    """
    text = f"{error}: {cause}"
    action = _ACTION.search(text)
    for pattern, cure in CURES:
        if found := pattern.search(text):
            named = {"action": action[1] if action else _NO_ACTION, **found.groupdict()}
            return Cure(cure.what.format_map(named), cure.todo.format_map(named))
    return None if error in _TELL_THEMSELVES else _UNKNOWN


_TELL_THEMSELVES = frozenset(
    {
        "CapacityExhausted",
        "DatasetChanged",
        "InternalError",
        "InvalidInput",
        "MalformedEvent",
        "QuotaExhausted",
        "RunNotFound",
        "RuntimeExceeded",
        "StoppedByUser",
        "TrainingCodeError",
        "UnexpectedArchive",
    }
)
"""Errors of Traindrop's own, whose causes end with what to do."""

_UNKNOWN = Cure(
    "",
    "Open the run in the console: the state that failed links to the log of its function, which tells more. Mend the "
    f"cause, {_AGAIN}: what was trained is kept.",
)

CURES = [
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), Cure(what, todo))
    for pattern, what, todo in (
        (
            r"explicit deny in an? (service|resource) control policy",
            "your organisation forbids {action}",
            "A rule of your organisation forbids it, whatever the stack's own policies allow: ask those who manage its "
            f"service control policies to allow {{action}} in this account, {_AGAIN}.",
        ),
        (
            r"explicit deny in a resource-based policy",
            "a policy of the resource forbids {action}",
            "Somebody put a deny into the policy of the bucket, topic or key that is named: take it out (for the "
            f"stack's own, deploy the stack again), {_AGAIN}.",
        ),
        (
            r"kms:(Decrypt|GenerateDataKey)|KMS[. ]?\w*(AccessDenied|Disabled|NotFound|InvalidState)\w*",
            "a KMS key cannot be used",
            "The object is encrypted under a key that the stack's roles may not use, or that is disabled: upload it "
            "again without `--sse aws:kms`, or allow the role that is named kms:Decrypt in the policy of the key, "
            f"{_AGAIN}.",
        ),
        (
            r"Could not assume role|sts:AssumeRole|trust relationship policy",
            "SageMaker may not use the training role",
            f"The role is gone, or no longer trusts sagemaker.amazonaws.com. {_DEPLOY}.",
        ),
        (
            r"Cannot pull algorithm container|CannotPullContainer|Access denied for repository",
            "the training image cannot be had",
            "Deploy the stack again with the parameter TrainingImage empty, which takes AWS's own image of the region, "
            "or with an image in a repository of this region that lets the training role pull (ecr:BatchGetImage), "
            f"{_AGAIN}.",
        ),
        (
            r"NoSuchBucket|specified bucket does not exist",
            "a bucket of the stack was deleted",
            "CloudFormation does not make it again in a stack that has it: delete the stack (`sam delete`; what lies "
            "in the other bucket is kept), deploy it anew, and drop the dataset into the new bucket.",
        ),
        (
            r"Data download failed.*(AccessDenied|Access Denied|Forbidden|\b403\b)",
            "the training job may not read its data",
            "An object of another account or under a KMS key of its own has to be uploaded again, as the bucket's own; "
            f"else the training role has lost its rights: deploy the stack again, {_AGAIN}.",
        ),
        (
            r"No S3 objects found under S3 URL \"?(?P<uri>[^\"\s]+)",
            "nothing that the training role may list lies at {uri}",
            "It was deleted after the check: drop the dataset again. If it is there, the training role has lost "
            f"s3:ListBucket: deploy the stack again, {_AGAIN}.",
        ),
        (
            r"(Artifact|Checkpoint|Output) upload failed|Insufficient permissions to upload",
            "SageMaker could not store what was trained",
            f"The training role must be allowed to write to the artifact bucket. {_DEPLOY}: checkpoints are kept.",
        ),
        (
            r"training-job/(?P<type>ml\.[\w.-]+) is not available|resourceConfig\.instanceType' failed to satisfy",
            "the region has no such instance type",
            "List other instance_types in training.yaml; SageMaker's price page names those of your region. Then start "
            "the dataset again.",
        ),
        (
            r"AlgorithmError: ,? ?exit code: 137",
            "the training was killed, mostly for want of memory",
            "Set a smaller batch, or fewer `workers` and `cache: false` under `train`, in training.yaml, or list an "
            "instance type with more memory, and start the dataset again.",
        ),
        (
            r"AlgorithmError: ,? ?exit code: (?P<code>\d+)",
            "the training ended with exit code {code} and gave no reason",
            "The job's log ends with what it did last. Mend that and start the dataset again; if nothing is wrong, "
            "redrive the execution.",
        ),
        (
            r"The training failed with (?P<kind>\w+)",
            "the training failed with {kind}",
            "The last lines of the job's log say where. Where settings or data are the reason, mend them and start the "
            "dataset again; else redrive the execution.",
        ),
        (
            r"Sandbox\.Timedout|Task timed out after",
            "a step took longer than a function may",
            "Redrive the execution: AWS may have been slow. If the same state fails again, its function's log (the "
            "state links to it) says what took so long.",
        ),
        (
            r"Runtime\.OutOfMemory|signal: killed|\bMemoryError\b",
            "a function ran out of memory",
            "Raise the MemorySize of the failed state's function in template.yaml, deploy, "
            f"{_AGAIN}; or drop a smaller dataset.",
        ),
        (
            r"Lambda\.TooManyRequestsException|ConcurrentInvocationLimitExceeded",
            "too many functions of the account run at once",
            "The account's Lambda quota 'Concurrent executions' is in use (a new account may have 10): raise it in the "
            f"Service Quotas console, or wait, {_AGAIN}.",
        ),
        (
            r"Lambda\.ResourceNotFoundException|Function not found",
            "a function of the stack is not there",
            f"The stack was deleted or half updated. {_DEPLOY}.",
        ),
        (
            r"TransientError|ThrottlingException|ServiceUnavailable",
            "AWS was busy or broken for too long",
            "Redrive the execution in a while; the AWS Health Dashboard tells when a service of your region is "
            "disturbed.",
        ),
        (
            r"States\.(DataLimitExceeded|Runtime|QueryEvaluationError|ParameterPathFailure)",
            "the state machine met what it cannot handle",
            "Start the dataset again. If it fails so again, the stack is half updated (deploy it again), or Traindrop "
            "is at fault: keep the run's page for a report.",
        ),
        (
            r"\bNoModel\b",
            "the training left no model",
            "Start the dataset again to train anew. The job's log tells what it did last.",
        ),
        (
            r"AccessDenied|not authorized to perform|AuthorizationError|UnauthorizedOperation",
            "a role of the stack may not do {action}",
            "The role that is named may not do that: its policy was changed, or your organisation has a rule against "
            f"it. {_DEPLOY}; if that changes nothing, ask those who manage your organisation.",
        ),
    )
]
