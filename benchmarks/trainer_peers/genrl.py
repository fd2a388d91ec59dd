"""GenRL 0.3.0, driven round by round through its own game manager, trainer, state and reward classes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from itertools import cycle
from typing import Any

import hivemind
import hivemind.utils

hivemind.get_dht_time = hivemind.utils.get_dht_time  # GenRL looks for it where hivemind no longer has it

import torch  # noqa: E402
from genrl.communication.local.null_comm import NullCommunicationBackend  # noqa: E402
from genrl.data.text_data_managers import SimpleTextDataManager  # noqa: E402
from genrl.game import BaseGameManager  # noqa: E402
from genrl.rewards import DefaultRewardManager, RewardFnStore, RoundRewardFnStore  # noqa: E402
from genrl.state import GameState  # noqa: E402
from genrl.trainer.grpo_trainer import GRPOLanguageTrainerModule, GRPOTrainerConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from benchmarks.trainer_peers.task import Line, Stopwatch, Task, scorer  # noqa: E402

MANY = 10_000  # rounds


class Questions(SimpleTextDataManager):  # type: ignore[misc]
    """The questions of a file, one round's after the other's."""

    def __init__(self, task: Task) -> None:
        self._rounds = cycle(task.questions())
        super().__init__(
            None,
            column_name_map={"question": "text", "answer": "answer", "asked": "asked"},
            data_generator=self._next,
            system_prompt=task.system_prompt,
        )

    def _next(self, **_: Any) -> list[dict[str, Any]]:
        return [{**question, "asked": question} for question in next(self._rounds)]


class Rewards:
    """The reward of every completion, in GenRL's order: agent, question, node, completion."""

    def __init__(self, task: Task) -> None:
        self._score = scorer(task)

    def __call__(self, state: GameState) -> dict[Any, dict[Any, list[list[float]]]]:
        """Of all completions of the state."""
        states, actions = state.get_stage_state(0), state.get_stage_actions(0)
        return {
            agent: {
                item: [
                    [self._score(node.environment_states["asked"], text) for text in texts]
                    for node, texts in zip(nodes, actions[agent][item], strict=True)
                ]
                for item, nodes in items.items()
            }
            for agent, items in states.items()
        }


def trainer_of(task: Task, folder: str) -> GRPOLanguageTrainerModule:
    """The trainer with its own defaults, but for what makes the engines' work equal."""
    config = GRPOTrainerConfig(
        temperature=task.temperature,
        dtype=task.dtype,
        max_new_tokens=task.max_new_tokens,
        num_generations=task.completions,
        learning_rate=task.learning_rate,
        minibatch_size=task.minibatch,
    )
    model = AutoModelForCausalLM.from_pretrained(task.model, torch_dtype=getattr(torch, task.dtype))
    tokenizer = AutoTokenizer.from_pretrained(task.model, padding_side="left")
    return GRPOLanguageTrainerModule([model], config, processing_class=tokenizer, log_dir=folder)


def game_of(task: Task, trainer: GRPOLanguageTrainerModule, questions: Questions) -> BaseGameManager:
    """A game of one stage, played alone, its first round begun."""
    store = RewardFnStore(MANY, [RoundRewardFnStore(1, [Rewards(task)])])
    game = BaseGameManager(
        max_stage=1,
        max_round=MANY,
        game_state=GameState(round=0, stage=0),
        reward_manager=DefaultRewardManager(store),
        trainer=trainer,
        data_manager=questions,
        communication=NullCommunicationBackend(),
        run_mode="train",
    )
    pruners, branchers = game.aggregate_game_state_methods()
    game.state._init_game(questions.get_round_data(), game.agent_ids, pruners, branchers)
    return game


def main() -> None:
    """Answer the line."""
    line, watch, task = Line(), Stopwatch(), Task.read(sys.argv[1])
    torch.set_num_threads(task.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        trainer, questions = trainer_of(task, folder), Questions(task)
        trainer.generate = watch.around("generation_s", trainer.generate)
        trainer.train = watch.around("update_s", trainer.train)
        game, made = game_of(task, trainer, questions), list[int]()
        trainer.model.generate = _counting(trainer.model.generate, trainer.processing_class.pad_token_id, made)
        for _ in line.asked():
            done = trainer.global_step
            made.clear()
            with watch.round():
                game.run_game_round()
            assert trainer.global_step == done + 1, "GenRL swallowed an error of its training; see its log"
            line.tell(**watch.seconds, tokens=sum(made))


def _counting(generate: Callable[..., Any], pad: int, made: list[int]) -> Callable[..., Any]:
    """`generate`, its completions' tokens noted."""

    def counted(ids: torch.Tensor, **kwargs: Any) -> Any:
        output = generate(ids, **kwargs)
        made.append(int((output[:, ids.shape[1] :] != pad).sum()))
        return output

    return counted


if __name__ == "__main__":
    main()
