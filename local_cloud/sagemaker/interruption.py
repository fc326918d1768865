"""When a host is taken away: at the line of an epoch, or so many seconds after its first such line."""

from __future__ import annotations

from dataclasses import dataclass, field

from local_cloud.sagemaker.metrics import finished_epoch


@dataclass
class Interruption:
    """What the log of one host has shown so far; written by the log pump, read by the job's thread.

    Times are epoch seconds. `due` is when the line of the chosen epoch came, `ends` when the host is taken away
    whatever it is doing.
    """

    started: float
    after_epoch: int | None = None
    after_seconds: float | None = None
    line_times: list[float] = field(default_factory=list)
    due: float | None = None
    ends: float | None = None

    def line(self, text: str, now: float) -> bool:
        """Note a line of the log; whether the host is now due to be interrupted."""
        epoch = finished_epoch(text)
        if epoch is None or self.due is not None:
            return False
        if self.after_seconds is not None and self.ends is None:
            self.ends = now + self.after_seconds
        if self.after_epoch is not None and epoch >= self.after_epoch:
            self.due = now
            return True
        self.line_times.append(now)
        return False

    def is_over(self, now: float) -> bool:
        """Whether the host's seconds have passed."""
        return self.ends is not None and now >= self.ends

    def epoch_began(self) -> float:
        """When the epoch that triggered the interruption began: the line before, or the start of the host."""
        return self.line_times[-1] if self.line_times else self.started
