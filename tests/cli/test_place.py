"""Where a command looks for its stack, and what it says when there is none."""

from __future__ import annotations

from tests.cli.conftest import Command


def test_the_environment_says_where_the_stack_is(traindrop: Command) -> None:
    done = traindrop("rollback", "never-dropped")
    assert (done.returncode, done.stdout) == (1, "")
    assert "never-dropped has no best model" in done.stderr


def test_options_come_before_the_environment(traindrop: Command) -> None:
    done = traindrop("rollback", "x", "--stack", "nobodys")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no stack nobodys here; name yours by --stack" in done.stderr
    done = traindrop("rollback", "x", TRAINDROP_STACK="nobodys")
    assert "there is no stack nobodys here" in done.stderr
    done = traindrop("rollback", "x", "--endpoint-url", "http://127.0.0.1:9", "--region", "eu-west-1")
    assert done.returncode == 1
    assert "Look at the network" in done.stderr
    done = traindrop("rollback", "x", "--profile", "nobody")
    assert done.returncode == 1
    assert "nobody" in done.stderr
    assert "aws configure list-profiles" in done.stderr
