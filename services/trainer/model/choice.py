"""Which model is trained, and where its files are: the embedded one, a folder, or one of the hub that fits here.

MODEL_NAME? --a name--> config.json --fits--> the rest --> train
    | auto                  | does not: refused, with numbers
    v
  the pool for this hardware, the peer's own first --cannot be had--> another that is here, or the embedded one
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError

from services.trainer.model.footprint import Shape, gib, shape_of
from services.trainer.model.hardware import Memory, device_of, measure
from services.trainer.model.hub import fetch, fetch_config, held_bytes, kept
from services.trainer.model.light import AutoConfig, AutoModelForCausalLM
from services.trainer.model.models import AUTO, BUILT_IN, in_order, least, pool, too_large
from services.trainer.settings import PolicySettings, TrainerSettings
from shared.errors import SettingsError, SwarmError
from shared.runtime import Context

log = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parents[1] / "embedded"
LOOK_S = 1.0  # between two looks how a download gets on


async def settle(settings: TrainerSettings, context: Context, peer: str) -> TrainerSettings:
    """The settings with the model that `peer` trains, whose files are here. Raises SwarmError if a named one cannot be.

    A download that gets on is progress: health stays good.
    """
    if settings.policy.model != AUTO:
        await _bring(settings.policy, context)
        context.health.heal("model")
        return settings
    name, reason = await _from_pool(settings.policy, context, peer)
    if reason is None:
        context.health.heal("model")
    else:
        context.health.degrade("model", reason)
    return settings.for_model(name)


def locate(settings: PolicySettings, *, trains: bool = True) -> Path:
    """The folder of a model's files, downloaded if need be.

    Raises SettingsError, also if there is no room to train it where it `trains`, and HubError.
    """
    name = settings.model
    if name in (AUTO, BUILT_IN):
        return EMBEDDED
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    folder = Path(name) if Path(name).is_dir() else kept(name)
    if trains:
        _check_fit(name, folder or fetch_config(name, token), measure(device_of(settings)))
    return folder or fetch(name, token)


def planned_shape(folder: Path) -> Shape | None:
    """The shape that a folder's config.json tells, weights or not; None of a kind that transformers does not know."""
    try:
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        return shape_of(config.get_text_config(), sum(parameter.numel() for parameter in model.parameters()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, StrictDataclassError) as error:
        log.debug("the size of %s is not known: %s", folder, error)
        return None


async def _from_pool(settings: PolicySettings, context: Context, peer: str) -> tuple[str, str | None]:
    """The model for this hardware, and why it is not the one that it should be."""
    memory = measure(device_of(settings))
    names = in_order(pool(memory), peer)
    if not names:
        log.info(
            "no model of the pool fits into %s of %s memory: training the embedded one", gib(memory.limit), memory.kind
        )
        return BUILT_IN, None
    try:
        await _bring(settings.model_copy(update={"model": names[0]}), context)
    except SwarmError as error:
        instead = next((name for name in names[1:] if kept(name)), BUILT_IN)
        return instead, f"the {instead} model instead of {names[0]}, till the next start: {error}"
    return names[0], None


async def _bring(settings: PolicySettings, context: Context) -> None:
    """Have the files of the model here."""
    work, held = asyncio.create_task(asyncio.to_thread(locate, settings)), -1
    while not (await asyncio.wait({work}, timeout=LOOK_S))[0]:
        if (now := held_bytes(settings.model)) > held:
            held = now
            context.health.beat()
    await work


def _check_fit(name: str, folder: Path, memory: Memory) -> None:
    if (shape := planned_shape(folder)) is None:
        return
    if why := too_large(shape, memory):
        remedy = "set MODEL_NAME to a smaller one, or give it more memory (TRAINER_MEMORY in containers)"
        raise SettingsError(f"the model {name!r} does not fit: {why}", remedy)
    if (need := least(shape, memory).total) > memory.free:
        log.warning("%s takes at least %s, and %s are free now", name, gib(need), gib(memory.free))
