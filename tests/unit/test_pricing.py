"""Money, against figures that were worked by hand from the price table of 2026-11-01.

An hour costs $0.7364 on ml.g4dn.xlarge, $1.408 on ml.g5.xlarge, $25.25 on ml.p4d.24xlarge. A month of a gigabyte (2^30
bytes) in S3 costs $0.023; a million state transitions $25, requests to functions $0.20, writes $5 and reads $0.40 in
S3, writes $0.625 and reads $0.125 of tables, mails $20; a gigabyte-second of a function $0.0000133334.
"""

from __future__ import annotations

from typing import Any

import pytest

from traindrop import pricing, receipt, receipt_text
from traindrop.figures import dollars, gigabytes

G4DN, G5, P4D = "ml.g4dn.xlarge", "ml.g5.xlarge", "ml.p4d.24xlarge"


def job(
    instance_type: str = G4DN,
    trained: int = 0,
    billed: int | None = None,
    *,
    interruptions: int = 0,
    starts: int = 1,
    last: int | None = None,
) -> dict[str, Any]:
    """A job of a run record; on demand where nothing is said of its billed seconds."""
    return {
        "name": "r-1",
        "instance_type": instance_type,
        "spot": billed is not None,
        "status": "Completed",
        "seconds_trained": trained,
        "seconds_billed": trained if billed is None else billed,
        "interruptions": interruptions,
        "starts": starts,
        "seconds_of_last_start": trained if last is None else last,
    }


def test_the_table_is_the_one_that_was_worked_with() -> None:
    assert (pricing.PRICE_DATE, pricing.PRICE_REGION) == ("2026-11-01", "us-east-1")
    assert (pricing.PRICES[G4DN], pricing.PRICES[G5], pricing.PRICES[P4D]) == (0.7364, 1.408, 25.25)
    assert (pricing.PER_GB_MONTH, pricing.PER_GB_SECOND) == (0.023, 0.0000133334)
    assert pricing.PER_MILLION == {
        "state_transitions": 25,
        "function_requests": 0.2,
        "s3_writes": 5,
        "s3_reads": 0.4,
        "table_writes": 0.625,
        "table_reads": 0.125,
        "mails": 20,
    }


@pytest.mark.parametrize(
    ("jobs", "paid", "on_demand", "saved", "shown"),
    [
        # 1. Spot: 3,150 s billed x 0.7364 / 3,600 = 0.64435; 9,000 s x 0.7364 / 3,600 = 1.841; 1.841 - 0.6444
        #    (kept).
        ([job(trained=9000, billed=3150)], 0.6444, 1.8410, 1.1966, "$0.64"),
        # 2. On demand: 9,000 s are paid whole.
        ([job(trained=9000)], 1.8410, 1.8410, 0.0, "$1.84"),
        # 3. On the dearest but one: 600 s x 25.25 / 3,600 = 4.208333.
        ([job(P4D, trained=600)], 4.2083, 4.2083, 0.0, "$4.21"),
        # 4. Interrupted twice: SageMaker's seconds have it all. 1,470 x 0.7364 / 3,600 = 0.300697; 4,200 x 0.7364
        #    / 3,600 = 0.859133.
        ([job(trained=4200, billed=1470, interruptions=2)], 0.3007, 0.8591, 0.5584, "$0.30"),
        # 5. A climb: spot never came (0 s), then 1,800 s on spot of g5 billed 630, then 3,600 s of g5 on demand.
        #    630 x 1.408 / 3,600 = 0.2464; 1,800 x 1.408 / 3,600 = 0.704; 3,600 s = 1.408. Paid 0 + 0.2464 + 1.408 =
        #    1.6544; on demand 0.704 + 1.408 = 2.112; saved 0.4576.
        ([job(billed=0), job(G5, trained=1800, billed=630), job(G5, trained=3600)], 1.6544, 2.1120, 0.4576, "$1.65"),
        # 6. Stopped at its cap: of $5 the dearer type buys 12,784 s; on g4dn, spot at 35 %, 4,475 s (4,474.4
        #    upwards) are billed: 4,475 x 0.7364 / 3,600 = 0.915386; 12,784 x 0.7364 / 3,600 = 2.615038.
        ([job(trained=12784, billed=4475)], 0.9154, 2.6150, 1.6996, "$0.92"),
        # 7. Nothing trained, nothing paid.
        ([job(billed=0)], 0.0, 0.0, 0.0, "$0.00"),
        # 8. One second: 0.7364 / 3,600 = 0.000205.
        ([job(trained=1)], 0.0002, 0.0002, 0.0, "less than $0.01"),
        # 9. Exactly at half a unit of the fourth decimal: 45 s x 1.408 / 3,600 = 0.0176; 90 s x 25.25 / 3,600 =
        #    0.63125, which becomes 0.6313. Together 0.6489.
        ([job(G5, trained=45), job(P4D, trained=90)], 0.6489, 0.6489, 0.0, "$0.65"),
        # 10. No job.
        ([], 0.0, 0.0, 0.0, "$0.00"),
        # 11. Spot that was dearer than what SageMaker says was trained saves nothing, and not less than nothing:
        #     3,600 s billed = 0.7364; 3,000 s trained = 0.613667.
        ([job(trained=3000, billed=3600)], 0.7364, 0.6137, 0.0, "$0.74"),
    ],
)
def test_a_bill_is_what_a_hand_makes_it(
    jobs: list[dict[str, Any]], paid: float, on_demand: float, saved: float, shown: str
) -> None:
    found = receipt.of_jobs(jobs)
    assert (found["cost_usd"], found["on_demand_usd"], found["saved_usd"]) == (paid, on_demand, saved)
    assert dollars(found["cost_usd"]) == shown


def rows(*times: float) -> list[dict[str, float]]:
    return [{"epoch": number, "time": time} for number, time in enumerate(times, 1)]


@pytest.mark.parametrize(
    ("jobs", "times", "lost", "lost_usd"),
    [
        # 12. One interruption. 1,000 s trained; the last start took 640 s, so the first 360 s. Three epochs of
        #     100 s were kept of it (then the column begins anew): 60 s of data, start and half an epoch are lost. 350
        #     s were billed, 0.7364 x 350 / 3,600 = 0.0716 in all, so 0.0716 x 60 / 1,000 = 0.004296.
        (
            [job(trained=1000, billed=350, interruptions=1, starts=2, last=640)],
            (100, 200, 300, 110, 220, 330, 440, 550),
            60,
            0.0043,
        ),
        # 13. Two interruptions: 2,000 s trained, 700 s billed (0.143189, kept as 0.1432); the last start took 900
        #     s. Of the 1,100 s before, 2 epochs of 200 s and 1 of 210 s were kept: 490 s lost; 0.1432 x 490 / 2,000 =
        #     0.035084.
        (
            [job(trained=2000, billed=700, interruptions=2, starts=3, last=900)],
            (200, 400, 210, 205, 410, 615),
            490,
            0.0351,
        ),
        # 14. The first host was lost before its first epoch: all of its 150 s are. 0.7364 x 260 / 3,600 =
        #     0.053184, kept as 0.0532; 0.0532 x 150 / 750 = 0.01064.
        ([job(trained=750, billed=260, interruptions=1, starts=2, last=600)], (100, 200, 300, 400), 150, 0.0106),
        # 15. Lost after the last epoch: the second start, 40 s, only delivered. 340 - 40 - 250 = 50 s; 0.7364 x
        #     340 / 3,600 = 0.069549, kept as 0.0695; 0.0695 x 50 / 340 = 0.010221.
        ([job(trained=340, starts=2, last=40)], (50, 100, 150, 200, 250), 50, 0.0102),
        # 16. A climb: a first job of 500 s on spot (175 billed, 0.0358) that kept 4 epochs of 100 s, then 700 s
        #     of g5 on demand, 700 x 1.408 / 3,600 = 0.273778, kept as 0.2738: 100 s lost; 0.3096 x 100 / 1,200 =
        #     0.0258.
        (
            [job(trained=500, billed=175, interruptions=1, last=500), job(G5, trained=700)],
            (100, 200, 300, 400, 100, 200, 300),
            100,
            0.0258,
        ),
        # 17. No interruption costs nothing, whatever the start took.
        ([job(trained=700, billed=245)], (100, 200, 300), 0, 0.0),
    ],
)
def test_interruptions_cost_what_a_run_without_them_would_not_have_trained(
    jobs: list[dict[str, Any]], times: tuple[float, ...], lost: int, lost_usd: float
) -> None:
    assert receipt.seconds_lost(jobs, receipt.kept_epochs(rows(*times))) == lost
    assert receipt.lost_usd(lost, receipt.of_jobs(jobs)) == lost_usd


def test_what_interruptions_cost_is_unknown_without_the_figures_and_never_below_nothing() -> None:
    interrupted = job(trained=1000, interruptions=1, starts=2, last=640)
    assert receipt.seconds_lost([interrupted], []) is None
    del interrupted["seconds_of_last_start"]
    assert receipt.seconds_lost([interrupted], [[100.0]]) is None
    assert receipt.seconds_lost([job(trained=100, starts=2, last=50)], [[70.0], [10.0]]) == 0
    assert receipt.seconds_lost([], []) == 0
    assert receipt.kept_epochs([{"epoch": 1}]) == []
    assert receipt.lost_usd(0, receipt.of_jobs([])) == 0.0


def test_storage_is_charged_by_the_month_and_the_gigabyte_of_two_to_the_thirtieth() -> None:
    # 18. A model of 64 MiB: 64 / 1,024 x 0.023 = 0.0014375. A dataset of 5 GiB: 0.115. A checkpoint and an
    #     archive of 1.5 GiB: 0.0345.
    found = receipt.storage(model=64 * 2**20, dataset=5 * 2**30, temporary=3 * 2**29)
    assert (found["model_usd_month"], found["dataset_usd_month"], found["temporary_usd_month"]) == (
        0.0014,
        0.115,
        0.0345,
    )
    assert found["temporary_bytes"] == 1_610_612_736
    assert [gigabytes(size) for size in (0, 1023, 64 * 2**20, 5 * 2**30, 5 * 2**40)] == [
        "0 bytes",
        "1023 bytes",
        "64 MB",
        "5 GB",
        "5120 GB",
    ]


def test_orchestration_is_counted_from_how_often_the_steps_ran() -> None:
    # 19. A zip that was looked at once, one job on one host, 50 epochs, 20 files left. State transitions 2 + 1 + 6 = 9:
    #     0.000225. Calls 1 + 2 + 10 + 4 = 17: 0.0000034, and 34 GB-s: 0.00045334. Reads 1 x 2 + 60 = 62: 0.0000248.
    #     Writes 250 + 20 + 60 = 330: 0.00165. Tables 68 each way: 0.0000425 and 0.0000085. Two mails: 0.00004. In all
    #     0.00244754.
    found = receipt.orchestration(validations=1, starts=1, jobs=1, host_starts=1, epochs=50, files=1, left=20)
    assert (found["state_transitions"], found["function_requests"]) == (9, 17)
    assert (found["s3_reads"], found["s3_writes"], found["usd"]) == (62, 330, 0.0024)
    # 20. A folder of 9,200 files, looked at 4 times, 2 jobs on 3 hosts, asked for 22 times, 100 epochs, 25 files left.
    #     Transitions 11 + 43 + 6 = 60: 0.0015. Calls 4 + 44 + 20 + 4 = 72: 0.0000144, 144 GB-s: 0.00192001. Reads 9,200
    #     x 4 + 180 = 36,980: 0.014792. Writes 500 + 25 + 60 = 585: 0.002925. Tables 288 each way: 0.00018 and 0.000036.
    #     Mails 0.00004. In all 0.02140741.
    found = receipt.orchestration(validations=4, starts=22, jobs=2, host_starts=3, epochs=100, files=9200, left=25)
    assert (found["state_transitions"], found["function_requests"]) == (60, 72)
    assert (found["s3_reads"], found["s3_writes"], found["usd"]) == (36_980, 585, 0.0214)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (0.0001, "less than $0.01"),
        (0.00499, "less than $0.01"),
        (0.005, "$0.01"),
        (0.125, "$0.13"),
        (2.675, "$2.68"),
        (9.994, "$9.99"),
        (1234.5, "$1234.50"),
    ],
)
def test_dollars_are_shown_to_the_cent_half_upwards_and_part_of_a_cent_in_words(amount: float, shown: str) -> None:
    assert dollars(amount) == shown


def test_the_message_says_what_was_paid_saved_lost_and_goes_on_costing() -> None:
    paid = receipt.of_jobs([job(trained=1000, billed=350, interruptions=1)])
    assert receipt_text.told({}) == ""
    assert receipt_text.table({}) == []
    # 350 s are 0.0716, 1,000 s 0.2046: 0.133 saved, 65 %.
    on_demand = receipt.of_jobs([job(trained=1000)])
    assert receipt_text.told(on_demand) == (
        "Paid $0.20 for 16 min 40 s billed of 16 min 40 s trained. Prices of us-east-1, 2026-11-01."
    )
    assert receipt_text.told(paid) == (
        "Paid $0.07 for 5 min 50 s billed of 16 min 40 s trained; spot saved $0.13 (65%). Prices of us-east-1, "
        "2026-11-01.\nWhat the interruptions cost is not known."
    )
    whole = paid | {
        "seconds_lost": 60,
        "lost_usd": 0.0043,
        "storage": receipt.storage(model=64 * 2**20, dataset=5 * 2**30, temporary=0),
        "orchestration": {"usd": 0.0025},
    }
    assert receipt_text.told(whole).splitlines()[1:] == [
        "Interruptions cost 1 min 00 s and less than $0.01 of that.",
        "To keep the model costs less than $0.01 a month, the dataset $0.12. What ran around the training cost less "
        "than $0.01.",
    ]
