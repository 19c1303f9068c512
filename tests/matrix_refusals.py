"""What cannot be combined: options of the table that end with a documented error, and the words of it.

Not here: the options (`matrix_table`). docs/configuration.md tells the same to users.
"""

from __future__ import annotations

from dataclasses import dataclass

from matrix_table import FACTORS


@dataclass(frozen=True)
class Refusal:
    """A combination that ends with an error in words.

    Attributes:
        of: the options that meet, by factor; several of one factor are alike.
        says: what the message must contain.
        exit_code: 2, or 3 where it is a matter of signal.
    """

    of: dict[str, tuple[str, ...]]
    says: str
    exit_code: int = 2


TASKS = ("strings", "messages", "images", "images in some rows", "shipped")
WITH_IMAGES = ("images", "images in some rows", "file with images")
WITHOUT_IMAGES = tuple(world for world in FACTORS["world"] if world not in WITH_IMAGES)
ADAPTERS = tuple(FACTORS["adapter"])[1:]
GUIDED = tuple(FACTORS["intervention"])[1:]
COLLECTING = ("the method's", "beside")  # of distillation: guidance is put into slots, so that a guide is asked
ON = ("advise", "act")
CAST = ("cast_lm_head_to_fp32=True",)
PER_TOKEN = "weigh single tokens"
GATE = "the gate must lie in [0, 1)"
EXPERIENCE = "so that what AutoNPO collects would never be served"
POOL = "most of the pool would be asked for nothing"
STAY, MAY_STAY = "guidance is dropped where the guide stood", ("priced, may stay", "may stay")
HARVEST = ("guidance_harvest=True",)

REFUSALS: tuple[Refusal, ...] = (
    # data
    Refusal({"world": TASKS, "held out": tuple(FACTORS["held out"])[1:]}, "a task has its own data and verifier"),
    Refusal(
        {"world": ("folder with splits",), "held out": ("by number", "by number, of the hard")},
        "both say what is evaluated",
    ),
    Refusal({"world": WITHOUT_IMAGES, "tower": ("freeze_vision_tower=True",)}, "has no vision tower"),
    Refusal({"precision": ("bf16 without a device",)}, "doesn't support bf16"),
    Refusal(
        {
            "precision": ("bf16",),
            "sampling": ("static cache",),
            "dtype": tuple(name for name in FACTORS["dtype"] if "bfloat16" not in name),
        },
        "a static cache has room for one",
    ),
    # a source beside a guide
    Refusal({"method": ("luffy", "exgrpo"), "intervention": GUIDED}, "takes no guide of this run"),
    Refusal({"method": ("self_imitation",), "distillation": ("alone",)}, "own answers are served in a slot"),
    Refusal({"method": ("rlep",), "intervention": ("late", "late, at distance 0")}, "is not after scout_steps"),
    Refusal({"method": ("rlep",), "intervention": ("again",)}, "both begin at step 0"),
    Refusal({"method": ("exgrpo",), "autonpo": ("act",)}, EXPERIENCE),
    Refusal({"world": ("shipped", "file, strict"), "method": ("luffy",)}, "has a trajectory that can be used", 3),
    Refusal({"method": ("luffy",), "weighting": ("importance",)}, "has no behaviour log-probs"),
    # AutoNPO
    Refusal({"autonpo": ON, "gate": ("max_pass_rate=-1.0",)}, GATE),
    Refusal({"autonpo": ON, "method": ("luffy", "exgrpo", "rlep"), "gate": ("max_pass_rate=None",)}, GATE),
    Refusal({"autonpo.ask": ("autonpo.ask=pool",), "lifetime": ("segment", "one step")}, POOL),
    Refusal(
        {
            "autonpo.ask": ("autonpo.ask=pool",),
            "lifetime": ("the method's",),
            "method": ("npo", "luffy", "exgrpo", "self_imitation", "opd"),
        },
        POOL,
    ),
    Refusal(
        {
            "autonpo": ("act",),
            "autonpo.accept": ("if_better",),
            "world": ("file", "file, strict", "file with images"),
            "held out": ("none", "the easy"),
        },
        "compares two policies on held-out prompts",
    ),
    Refusal({"autonpo": ON, "autonpo.worth": MAY_STAY, "lifetime": ("segment",)}, STAY),
    Refusal(
        {
            "autonpo": ON,
            "autonpo.worth": MAY_STAY,
            "lifetime": ("the method's",),
            "method": ("npo", "luffy", "exgrpo", "self_imitation", "opd"),
        },
        STAY,
    ),
    # what is not bought
    Refusal({"harvest": HARVEST, "method": ("exgrpo",)}, "replays the run's own rollouts already"),
    Refusal({"harvest": HARVEST, "samples of a guide": ("8, two kept", "4, two correct")}, "which is not a pool"),
    Refusal({"harvest": HARVEST, "method": ("rlep",)}, "which is not a pool"),
    Refusal(
        {"allocation": ("guide_allocation=adaptive",), "guide_select": ("guide_select=closest",)},
        "closest of a fixed number of samples needs all",
    ),
    # weights of single tokens
    Refusal({"weighting": ("shaped",), "importance": ("importance_sampling_level=sequence",)}, PER_TOKEN),
    Refusal({"weighting": ("shaped",), "loss": ("loss_type=vespo",)}, PER_TOKEN),
    Refusal(
        {
            "method": ("luffy", "exgrpo"),
            "weighting": ("the method's",),
            "importance": ("importance_sampling_level=sequence",),
        },
        PER_TOKEN,
    ),
    Refusal({"method": ("luffy", "exgrpo"), "weighting": ("the method's",), "loss": ("loss_type=vespo",)}, PER_TOKEN),
    Refusal({"distillation": ("beside", "alone"), "importance": ("importance_sampling_level=sequence",)}, PER_TOKEN),
    Refusal({"distillation": ("beside", "alone"), "loss": ("loss_type=vespo",)}, PER_TOKEN),
    Refusal({"method": ("opd",), "importance": ("importance_sampling_level=sequence",)}, PER_TOKEN),
    Refusal({"method": ("opd",), "loss": ("loss_type=vespo",)}, PER_TOKEN),
    # signal: an untrained model writes no box
    Refusal(
        {"world": ("file, strict",), "method": ("npo",), "intervention": GUIDED, "distillation": COLLECTING},
        "solved none of",
        exit_code=3,
    ),
    Refusal({"world": ("file, strict",), "method": ("rlep",), "distillation": COLLECTING}, "solved none of", 3),
    # TRL
    Refusal({"adapter": ADAPTERS, "reference": ("synced",)}, "sync_ref_model"),
    Refusal({"adapter": ADAPTERS, "head": CAST}, "cast_lm_head_to_fp32=true and use_peft=true"),
    Refusal({"world": WITH_IMAGES, "head": CAST}, "sees images and ties its head"),
    Refusal({"weighting": ("importance",), "sampling of a guide": ("its own",)}, "and guide_temperature=0.7"),
    Refusal({"weighting": ("importance",), "method": ("rlep",)}, "and guide_temperature=0.7"),
    Refusal({"sampling": ("continuous",)}, "takes up to nine tenths of the memory"),  # where there is no accelerator
    Refusal({"report": ("not installed", "unknown")}, "report_to"),
)
