"""training.yaml: ranks, defaults and errors."""

import pytest

from traindrop.settings import TrainingSettings
from traindrop.settings_layers import Layer, merge


def problems(text: str) -> list[str]:
    return [f"{problem.code}: {problem.message}" for problem in merge([Layer("training.yaml", text.encode())])[1]]


def test_no_file_gives_the_defaults_of_the_contract() -> None:
    settings, found = merge([])
    assert not found
    assert settings.model_dump(exclude={"train"}, exclude_none=True) == {
        "model": "yolov8n-seg.pt",
        "epochs": 50,
        "imgsz": 1024,
        "batch": 8,
        "patience": 20,
        "seed": 0,
        "spot": True,
        "instance_types": ("ml.g4dn.xlarge", "ml.g5.xlarge"),
        "on_demand_fallback": False,
        "max_runtime_hours": 6,
        "capacity_patience_hours": 2,
        "max_wait_hours": 12,
        "max_cost_usd": 5,
        "checks": {"images": "sample", "backgrounds": 0.2},
        "force": False,
        "promotion_margin": 0.005,
    }


def test_the_file_beside_the_data_outranks_the_one_of_the_bucket_and_train_is_merged() -> None:
    settings, found = merge(
        [Layer("bucket", b"epochs: 5\nbatch: 4\ntrain: {lr0: 0.01}"), Layer("own", b"epochs: 7\ntrain: {mosaic: 0}")]
    )
    assert not found
    assert (settings.epochs, settings.batch) == (7, 4)
    assert settings.train_arguments() == {
        "epochs": 7,
        "imgsz": 1024,
        "batch": 4,
        "patience": 20,
        "seed": 0,
        "lr0": 0.01,
        "mosaic": 0.0,
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epoch: 5", ["'epoch'", "did you mean 'epochs'"]),
        ("epochs: many", ["epochs", "'many'", "integer"]),
        ("epochs: 0", ["epochs", "greater than or equal to 1"]),
        ("epochs: true", ["epochs"]),
        ("model: yolo8n-seg.pt", ["did you mean 'yolov8n-seg.pt'"]),
        ("model: yolo11n-pose.pt", ["not for keypoints", "yolov8n-seg.pt"]),
        ("model: yolov8m-obb.yaml", ["not for oriented boxes"]),
        ("model: yolov8n-cls.pt", ["not for classification"]),
        ("model: http://evil/x.pt", ["model"]),
        ("instance_types: [ml.p3.2xlarge]", ["ml.p3.2xlarge", "no longer supports", "ml.g4dn.xlarge"]),
        ("instance_types: [ml.g4dn.xlrge]", ["did you mean 'ml.g4dn.xlarge'"]),
        ("instance_types: []", ["instance_types"]),
        ("train: {download: x}", ["'train.download'", "train takes"]),
        ("train: {project: /etc}", ["'train.project'"]),
        ("expect: {trian: 4}", ["'expect.trian'", "did you mean 'train'"]),
        ("max_runtime_hours: 20", ["max_wait_hours"]),
        ("max_runtime_hours: 0.008", ["max_runtime_hours 0.008", "28.8 s", "ml.g5.xlarge", "raise them"]),
        ("max_cost_usd: 0.01", ["max_cost_usd 0.01", "25.6 s", "ml.g5.xlarge", "cheaper instance_types"]),
        ("- a\n- b", ["key: value"]),
        ("a: [", ["not YAML"]),
        ("a: &a [*a]", ["'a'"]),
        ("!!python/object/apply:os.system ['true']", ["not YAML"]),
    ],
)
def test_a_fault_names_key_value_and_cure(text: str, named: list[str]) -> None:
    found = problems(text)
    assert found
    assert all(any(word in problem for problem in found) for word in named), found


def test_a_bad_file_does_not_hide_a_good_one() -> None:
    settings, found = merge([Layer("a", b"epochs: 3"), Layer("b", b"epochs: x")])
    assert settings.epochs == 3
    assert len(found) == 1


def test_the_task_is_told_by_the_models_name() -> None:
    assert TrainingSettings().task == "segment"
    assert TrainingSettings(model="yolo11s.yaml").task == "detect"
    assert TrainingSettings(model="best").task is None
