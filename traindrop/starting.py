"""A training job is started: once for each rung, with what its run has left of time and money, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from traindrop import budget, champion, climb, exhaustion, jobs, messages
from traindrop.climb import Ladder
from traindrop.console import quotas_link
from traindrop.estimate import estimate, past_of, plan_of
from traindrop.exhaustion import QUOTA_IN_USE, with_model_so_far
from traindrop.figures import duration
from traindrop.jobs import JobEnd, Places
from traindrop.mail import on_its_own_line
from traindrop.notifying import publish_once
from traindrop.objects import is_there
from traindrop.quotas import Quotas
from traindrop.runs import stop_wanted
from traindrop.settings import SHORTEST_SECONDS, TrainingSettings
from traindrop.training import Trainer
from traindrop.training_code import ENTRY_POINT, code, digest
from traindrop.waiting import WaitingNotice

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

_EARLIER_RUNS = 30
"""Runs of a dataset among which those are looked for that tell how long a training takes."""


@dataclass(frozen=True)
class Starter:
    """Starts the job of a rung, once, whatever is retried around it."""

    trainer: Trainer
    s3: S3Client
    sns: SNSClient
    places: Places
    topic_arn: str
    stack_max_cost_usd: float
    clock: Callable[[], float]
    quotas: Quotas
    notice: WaitingNotice

    def start(self, run_id: str, *, attempt: int, redrives: int, task_token: str) -> str:
        """Create the job `<run_id>-<attempt + redrives>`, or adopt the one of that name; say which.

        Token and name are written down before the job exists, so that its end always finds whom to tell. When it
        exists the stop flag is read again: a stop in between ends the job that it could not yet see, and nobody
        is told of its start. Above a quota that is in use the answer to the state machine is `QuotaInUse`, and it asks
        again later.
        """
        trainer, runs = self.trainer, self.trainer.runs
        name = f"{run_id}-{attempt + redrives}"
        runs.update(
            run_id,
            count="starts",
            task_token=task_token,
            job_name=name,
            attempt=attempt,
            redrives=redrives,
            status="Training",
            ended_at=None,
        )
        run, now = runs.get(run_id), self.clock()
        run["climb"] = climb.entered(run, now)
        runs.update(run_id, climb=run["climb"])
        job = trainer.describe(name)
        if job is None:
            end = self._create(run, name, now)
            if end and end.error != QUOTA_IN_USE:
                end = with_model_so_far(end, run.get("jobs", []))
                left = climb.left(run, end, datetime.fromtimestamp(now, UTC))
                runs.update(run_id, ended=end.ended or None, climb=left)
            if end:
                return trainer.answer(run, end, name)
        elif job["TrainingJobStatus"] in jobs.ENDED:
            return trainer.report(run, job)
        if stop_wanted(runs.get(run_id), redrives):
            trainer.stop(name)
            return "stopped at once"
        self._announce(run, name)
        return "adopted" if job else "started"

    def _create(self, run: dict[str, Any], name: str, now: float) -> JobEnd | None:
        """Create the job of the run's rung; else say why the run climbs, asks again later, or ends."""
        settings, attempt = TrainingSettings.model_validate(run["settings"]), int(run["attempt"])
        ladder = climb.ladder_of_run(run, now)
        rung, more = ladder.rung(attempt), bool(ladder.higher(attempt))
        if stop_wanted(run, int(run["redrives"])):
            return JobEnd(
                error="StoppedByUser", cause="the run was stopped before its training job was created", result="stopped"
            )
        earlier, at = self.trainer.earlier_jobs(run, name), datetime.fromtimestamp(now, UTC)
        left, seconds_left = budget.left(settings, self.stack_max_cost_usd, earlier, at), ladder.seconds_left(now)
        spent = budget.nothing_left(settings, self.stack_max_cost_usd, earlier, left)
        if spent:
            return spent
        if seconds_left < SHORTEST_SECONDS:
            return exhaustion.no_time_left(settings.max_wait_hours)
        if self.quotas.is_zero(rung.quota):
            return exhaustion.quota_of_zero(rung, run, more_rungs=more, known=True)
        best = champion.present(self.s3, self.places.artifact_bucket, run["slug"])
        request = jobs.training_job_request(
            name=name,
            run=run,
            rung=rung,
            places=self.places,
            code_prefix=self._upload_code(),
            weights_uri=self._weights(run, settings),
            champion=best,
            runtime_seconds=left.seconds,
            wait_seconds=seconds_left,
        )
        try:
            self.trainer.sagemaker.create_training_job(**request)
        except ClientError as error:
            code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if code == "ResourceInUse":
                return None
            if code != "ResourceLimitExceeded":
                raise
            if exhaustion.is_quota_of_zero(text):
                return exhaustion.quota_of_zero(rung, run, more_rungs=more, known=False)
            return self._in_use(run, ladder, text, now)
        entry = {
            "name": name,
            "instance_type": rung.instance_type,
            "spot": rung.spot,
            "status": "InProgress",
            "seconds_trained": 0,
            "seconds_billed": 0,
            "interruptions": 0,
            "epochs": 0,
            "max_runtime_seconds": request["StoppingCondition"]["MaxRuntimeInSeconds"],
            "created_at": at.isoformat(),
        }
        self.trainer.runs.update(run["run_id"], jobs=[*earlier, entry])
        return None

    def _in_use(self, run: Mapping[str, Any], ladder: Ladder, said: str, now: float) -> JobEnd:
        """Every instance that the quota allows is taken: ask again later, or climb when that has lasted too long."""
        attempt, since = int(run["attempt"]), climb.asked_since(run)
        gives_up = ladder.gives_up(attempt, since)
        if ladder.higher(attempt) and now >= gives_up:
            return exhaustion.quota_in_use(ladder.rung(attempt), duration(now - since))
        idle = climb.idle_since(run, ladder)
        if now >= self.notice.due_at(run, idle):
            reason = f"every instance that your account's quota '{ladder.rung(attempt).quota}' allows is in use"
            cure = on_its_own_line("Your quotas, where it can be raised", quotas_link(run["execution_arn"]))
            self.notice.send(run, ladder, reason=reason, since=idle, until=gives_up, cure=cure)
        return JobEnd(error=QUOTA_IN_USE, cause=said)

    def _announce(self, run: dict[str, Any], name: str) -> None:
        """Send `Started`, once a run."""
        if run.get("announced"):
            return
        settings = TrainingSettings.model_validate(run["settings"])
        whole = budget.left(settings, self.stack_max_cost_usd, [], datetime.fromtimestamp(self.clock(), UTC))
        message = messages.started(
            run,
            estimate=self._estimate(run, settings, whole),
            cap_usd=whole.dollars,
            cap_hours=whole.seconds / 3600,
            rungs=", ".join(map(str, jobs.ladder(settings))),
            job_name=name,
        )
        publish_once(self.sns, self.topic_arn, message, runs=self.trainer.runs, run_id=run["run_id"], flag="announced")

    def _estimate(self, run: Mapping[str, Any], settings: TrainingSettings, whole: budget.Budget) -> str:
        """What the run will cost on the rung that it has got, in words; the figures are kept with the run."""
        rung = climb.ladder_of(settings, 0).rung(int(run["attempt"]))
        plan = plan_of(run, rung.instance_type)
        if plan is None:
            return ""
        earlier = self.trainer.runs.of_dataset(run["slug"], _EARLIER_RUNS)
        past = [found for found in map(past_of, earlier) if found]
        found = estimate(plan, spot=rung.spot, past=past, cap_seconds=whole.seconds, cap_usd=whole.dollars)
        self.trainer.runs.update(run["run_id"], estimate=found.record())
        return found.words

    def _upload_code(self) -> str:
        """Put what trains below `code/<digest>/`, once a version; answer that prefix."""
        files = code()
        prefix = f"code/{digest(files)}/"
        if is_there(self.s3, self.places.artifact_bucket, f"{prefix}{ENTRY_POINT}"):
            return prefix
        for name in sorted(files, key=lambda name: name == ENTRY_POINT):
            self.s3.put_object(Bucket=self.places.artifact_bucket, Key=prefix + name, Body=files[name])
        return prefix

    def _weights(self, run: Mapping[str, Any], settings: TrainingSettings) -> str | None:
        """Where the job finds its first weights in S3; None when it builds them or has to fetch them itself.

        Pretrained weights are those that the stack's owner laid at `weights/`, else what an earlier run of the same
        dataset fetched. Never what another dataset's run left: a checkpoint can run code.
        """
        bucket = self.places.artifact_bucket
        if settings.model == "best":
            return f"s3://{bucket}/models/{run['slug']}/{run['starts_from']}/best.pt"
        if settings.model.startswith("s3://"):
            return settings.model
        if not settings.model.endswith(".pt"):
            return None
        places = (f"weights/{settings.model}", f"weights/{run['slug']}/{settings.model}")
        return next((f"s3://{bucket}/{key}" for key in places if is_there(self.s3, bucket, key)), None)
