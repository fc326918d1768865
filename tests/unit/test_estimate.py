"""What a training will cost, said when it starts: worked by hand, and against runs of a trainer of known speed."""

from __future__ import annotations

from typing import Any

import pytest

from traindrop.estimate import Estimate, Past, Plan, estimate, pace, past_of, plan_of
from traindrop.settings import TrainingSettings

G4DN, G5 = "ml.g4dn.xlarge", "ml.g5.xlarge"


def plan(train: int = 1000, val: int = 200, instance_type: str = G4DN, **settings: Any) -> Plan:
    return Plan({"train": train, "val": val}, TrainingSettings(imgsz=640, **settings), instance_type)


def past(of: Plan, epoch: float, overhead: float = 100, *, share: float = 0.35, **fields: Any) -> Past:
    told = {"epochs": of.settings.epochs, "stopped_early": False, **fields}
    return Past(of, epoch, overhead, share, **told)


def estimated(of: Plan, *earlier: Past, spot: bool = True, cap: float = 100) -> Estimate:
    return estimate(of, spot=spot, past=earlier, cap_seconds=21_600, cap_usd=cap)


def test_three_runs_alike_give_one_figure() -> None:
    # Epochs of 40, 50 and 60 s: 50; overheads of 90, 100 and 300 s: 100. 50 epochs are 2,600 s; of them 35 % are
    # billed: 910 s x 0.7364 / 3,600 = 0.186145.
    found = estimated(plan(), past(plan(), 40, 300), past(plan(), 60, 90), past(plan(), 50, 100))
    assert (found.seconds, found.usd) == (2600, 0.1861)
    # A quarter either way: 0.139609 and 0.232681.
    assert (found.low_usd, found.high_usd, found.low_seconds, found.high_seconds) == (0.1396, 0.2327, 1950, 3250)
    assert found.words == (
        "Estimate: $0.19 for 43 min 20 s of training, from the last 3 runs of this dataset with these settings; within "
        "25% unless spot prices move or the instance is interrupted."
    )
    # On demand all of it is paid: 2,600 x 0.7364 / 3,600 = 0.531844.
    assert estimated(plan(), *[past(plan(), 50)] * 3, spot=False).usd == 0.5318


def test_more_images_and_other_epochs_take_as_much_more() -> None:
    # 1,000 + 200 / 2 = 1,100 images took 50 s; 2,000 + 200 / 2 = 2,100 take 95.4545 s: 10 epochs and 100 s are
    # 1,054.5 s.
    found = estimated(plan(train=2000, epochs=10), *[past(plan(), 50)] * 3)
    assert found.seconds == pytest.approx(1054.5, abs=0.1)


def test_runs_that_ended_early_let_this_one_end_early() -> None:
    early = [past(plan(epochs=300), 50, epochs=epochs, stopped_early=True) for epochs in (60, 80, 100)]
    assert estimated(plan(epochs=300), *early).seconds == 100 + 80 * 50
    assert estimated(plan(epochs=70), *early).seconds == 100 + 70 * 50
    assert estimated(plan(epochs=300), *early[:2], past(plan(epochs=100), 50)).seconds == 100 + 80 * 50


def test_fewer_runs_give_a_range_that_says_so() -> None:
    # 2,600 s and $0.186145, by 1.5 either way: 0.124096 and 0.279217.
    found = estimated(plan(), past(plan(), 50))
    assert (found.usd, found.low_usd, found.high_usd) == (None, 0.1241, 0.2792)
    assert found.words == (
        "Estimate: $0.12 to $0.28 for 28 min 53 s to 1 h 05 min of training, from the one run of this dataset with "
        "these settings."
    )
    assert (
        "from the last 2 runs of this dataset with these settings" in estimated(plan(), *[past(plan(), 50)] * 2).words
    )


def test_runs_with_other_settings_are_converted_and_only_give_a_range() -> None:
    # Both are bound by reading images, and 1,280 pixels are four times as many as 640: 200 s an epoch, 10,100 s; by 2
    # either way. 10,100 x 0.35 x 0.7364 / 3,600 = 0.723104.
    large = Plan({"train": 1000, "val": 200}, TrainingSettings(imgsz=1280), G5)
    found = estimate(large, spot=True, past=[past(plan(instance_type=G5), 50)] * 4, cap_seconds=1e6, cap_usd=100)
    assert (found.low_seconds, found.high_seconds, found.seconds) == (5050, 20200, None)
    assert "from the last 4 runs of this dataset with other settings, converted" in found.words
    alike = estimated(plan(), past(plan(batch=4), 500), past(plan(), 50))
    assert alike.high_seconds == 1.5 * 2600


def test_a_model_of_which_only_the_weights_are_known_is_taken_for_one_like_the_one_before() -> None:
    found = estimated(plan(model="best"), past(plan(), 50))
    assert (found.low_seconds, found.high_seconds) == (1300, 5200)


def test_without_a_run_the_range_rests_on_what_it_names() -> None:
    # 1,100 images an epoch. 4 processors read 80 a second at best: 13.75 s (the GPU, 3 x 12.1 GFLOPs by 5 % of 65
    # TFLOPS, would take 12.3). At worst 32 a second by reading; the GPU, by 2 %, is faster: 34.375 s. 90 s and 21
    # epochs of the one, 420 s and 50 of the other: 378.75 s and 2,138.75 s. Times 0.3 and 0.4 of 0.7364 / 3,600:
    # 0.023242 and 0.174997.
    found = estimated(plan())
    assert (found.low_seconds, found.high_seconds) == (378.75, 2138.75)
    assert (found.low_usd, found.high_usd, found.usd) == (0.0232, 0.175, None)
    assert found.words == (
        "Estimate: $0.02 to $0.18 for 6 min 19 s to 35 min 39 s of training, as this dataset has no earlier run. It "
        "rests on the assumptions that ml.g4dn.xlarge trains 32 to 80 images a second, which was not measured; that it "
        "ends after 21 to 50 epochs (patience 20); and that spot saves 60% to 70%."
    )
    plain = estimated(plan(patience=0, epochs=10), spot=False)
    assert (
        "on the assumption that ml.g4dn.xlarge trains 32 to 80 images a second, which was not measured." in plain.words
    )
    # A larger model is bound by the GPU: 3 x 211.1 x 1,100 by 2 % of 65 TFLOPS are 535.9 s.
    assert estimated(plan(model="yolov8l-seg.pt", epochs=10)).high_seconds == pytest.approx(420 + 5358.7, abs=1)


def test_no_estimate_is_above_the_caps() -> None:
    for earlier in ([], [past(plan(), 5000)], [past(plan(), 5000)] * 3):
        found = estimated(plan(), *earlier, cap=0.1)
        assert found.high_usd == 0.1
        assert max(found.high_seconds, found.seconds or 0) <= 21_600


def record(**fields: Any) -> dict[str, Any]:
    return {
        "images": {"train": 1000, "val": 200},
        "settings": {"imgsz": 640},
        "ended": "completed",
        "metrics": {"epochs_trained": 31, "stopped_early": True},
        **fields,
    }


JOB = {
    "instance_type": G4DN,
    "spot": True,
    "seconds_trained": 2000,
    "seconds_billed": 700,
    "seconds_of_last_start": 1000,
}


def test_the_pace_of_a_run_is_that_of_its_last_start() -> None:
    # 1,000 s with epochs of 60, 50 and 50 s: the first one took 10 s of what is not counted as epochs, 850 s.
    told = pace([{**JOB, "seconds_of_last_start": 1}, JOB], [[70.0, 70.0], [60.0, 50.0, 50.0]])
    assert told == {
        "instance_type": G4DN,
        "spot": True,
        "epoch_seconds": 50.0,
        "overhead_seconds": 850.0,
        "billed_share": 0.35,
    }
    assert past_of(record(pace=told)) == Past(plan(), 50, 850, 0.35, 31, True)
    stopped = past_of(record(pace=told, ended="runtime_exceeded"))
    assert stopped is not None
    assert not stopped.stopped_early


def test_runs_that_tell_nothing_are_left_out() -> None:
    assert pace([], [[1.0]]) is None
    assert pace([JOB], []) is None
    assert pace([{key: value for key, value in JOB.items() if key != "seconds_of_last_start"}], [[1.0]]) is None
    assert past_of({"status": "Rejected"}) is None
    told = pace([JOB], [[50.0]])
    assert past_of({**record(pace=told), "images": None}) is None
    assert past_of(record(pace={**(told or {}), "instance_type": "ml.gone.xlarge"})) is None
    assert plan_of({"settings": {}}, G4DN) is None
