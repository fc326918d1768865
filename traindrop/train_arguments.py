"""The arguments of ultralytics' `train()` that training.yaml may set: what they do, and within which bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from traindrop.setting_values import Share, Values


class TrainArguments(Values):
    """Extra arguments of ultralytics' `train()`: those that change how a model learns, none that reaches outside."""

    optimizer: Annotated[
        Literal["auto", "SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSProp"] | None,
        Field(
            description="What updates the weights. With `auto` ultralytics chooses it, and lr0 and momentum with it."
        ),
    ] = None
    lr0: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=1)] | None,
        Field(description="First learning rate; counts only beside an `optimizer` that is named.", examples=[0.002]),
    ] = None
    lrf: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=1)] | None,
        Field(description="Last learning rate, as a share of `lr0`."),
    ] = None
    momentum: Annotated[Share | None, Field(description="Momentum of SGD, beta1 of the Adam family.")] = None
    weight_decay: Annotated[Share | None, Field(description="How strongly large weights are held down.")] = None
    warmup_epochs: Annotated[
        Annotated[StrictFloat, Field(ge=0, le=100)] | None,
        Field(description="Epochs, or a fraction of one, in which the learning rate rises. 0 when training goes on."),
    ] = None
    cos_lr: Annotated[
        StrictBool | None, Field(description="Let the learning rate fall along a cosine, not along a line.")
    ] = None
    close_mosaic: Annotated[
        Annotated[StrictInt, Field(ge=0)] | None,
        Field(description="For so many last epochs images are shown whole, without `mosaic`; 0 keeps it to the end."),
    ] = None
    nbs: Annotated[
        Annotated[StrictInt, Field(ge=1, le=1024)] | None,
        Field(description="Images of which the gradients are gathered before the weights change, whatever `batch` is."),
    ] = None
    freeze: Annotated[
        Annotated[StrictInt, Field(ge=0, le=100)] | None,
        Field(description="So many first layers stay as they are: quicker, for a little data like the pretrained."),
    ] = None
    dropout: Annotated[
        Share | None, Field(description="Taken for completeness: ultralytics uses it for classification alone.")
    ] = None
    box: Annotated[
        Annotated[StrictFloat, Field(ge=0, le=100)] | None, Field(description="Weight of the loss of boxes.")
    ] = None
    cls: Annotated[
        Annotated[StrictFloat, Field(ge=0, le=100)] | None, Field(description="Weight of the loss of classes.")
    ] = None
    dfl: Annotated[
        Annotated[StrictFloat, Field(ge=0, le=100)] | None, Field(description="Weight of the loss of the boxes' edges.")
    ] = None
    mask_ratio: Annotated[
        Annotated[StrictInt, Field(ge=1, le=16)] | None,
        Field(description="How many times smaller than the image masks are learnt; 1 for thin shapes, at more memory."),
    ] = None
    overlap_mask: Annotated[
        StrictBool | None,
        Field(description="Learn an image's masks as one picture, where of two on one pixel the smaller counts."),
    ] = None
    single_cls: Annotated[StrictBool | None, Field(description="Treat all classes as one.")] = None
    rect: Annotated[
        StrictBool | None, Field(description="Batches of images of a like shape with little padding, in a fixed order.")
    ] = None
    multi_scale: Annotated[
        Annotated[StrictFloat, Field(ge=0, le=0.5)] | None,
        Field(description="Vary the size of each batch by up to this share of `imgsz`; needs memory for the largest."),
    ] = None
    fraction: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=1)] | None,
        Field(description="Train on this share of the images, to try settings for less money.", examples=[0.1]),
    ] = None
    hsv_h: Annotated[Share | None, Field(description="Vary the hue by up to this share.")] = None
    hsv_s: Annotated[Share | None, Field(description="Vary the saturation by up to this share.")] = None
    hsv_v: Annotated[Share | None, Field(description="Vary the brightness by up to this share.")] = None
    degrees: Annotated[
        Annotated[StrictFloat, Field(ge=0, le=180)] | None, Field(description="Turn images by up to so many degrees.")
    ] = None
    translate: Annotated[Share | None, Field(description="Shift images by up to this share of their size.")] = None
    scale: Annotated[Share | None, Field(description="Scale images up or down by up to this share.")] = None
    shear: Annotated[
        Annotated[StrictFloat, Field(ge=-180, le=180)] | None,
        Field(description="Shear images by up to so many degrees."),
    ] = None
    perspective: Annotated[
        Annotated[StrictFloat, Field(ge=0, le=0.001)] | None,
        Field(description="Strength of a random change of perspective."),
    ] = None
    flipud: Annotated[
        Share | None, Field(description="Share of images that are turned upside down.", examples=[0.5])
    ] = None
    fliplr: Annotated[
        Share | None, Field(description="Share of images that are mirrored; 0 where left and right mean something.")
    ] = None
    mosaic: Annotated[Share | None, Field(description="Share of images that are put together from four.")] = None
    mixup: Annotated[Share | None, Field(description="Share of images that are laid over another.")] = None
    copy_paste: Annotated[Share | None, Field(description="Share of objects that are copied into other images.")] = None
    erasing: Annotated[
        Annotated[StrictFloat, Field(ge=0, lt=1)] | None,
        Field(description="Taken for completeness: ultralytics uses it for classification alone."),
    ] = None
    amp: Annotated[
        StrictBool | None,
        Field(
            description="Compute in 16 bits where it does no harm: faster, less memory. `false` if losses become nan."
        ),
    ] = None
    deterministic: Annotated[
        StrictBool | None, Field(description="The same seed gives the same model; `false` is faster on some GPUs.")
    ] = None
    cache: Annotated[
        StrictBool | Literal["ram", "disk"] | None,
        Field(description="Keep decoded images in memory (`true`, `ram`) or on disk, if the GPU waits and they fit."),
    ] = None
    workers: Annotated[
        Annotated[StrictInt, Field(ge=0, le=64)] | None,
        Field(description="Processes for each GPU that prepare images."),
    ] = None
    plots: Annotated[
        StrictBool | None, Field(description="Draw batches and curves; `false` for very short trainings.")
    ] = None
    pretrained: Annotated[
        StrictBool | None,
        Field(description="`false` begins with random weights, though `model` names pretrained ones."),
    ] = None
    max_det: Annotated[
        Annotated[StrictInt, Field(ge=1, le=3000)] | None,
        Field(description="Objects found in an image at most; more for crowded plans, at a slower validation."),
    ] = None
    iou: Annotated[
        Share | None, Field(description="By how much two found objects of a class may overlap before one is dropped.")
    ] = None
