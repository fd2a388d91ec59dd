"""A trainer in the prediction market: the embedded model, a real judge, and what it bets."""

import asyncio

import pytest

from services.trainer.market.player import Player
from services.trainer.market.scores import scores
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.health import Health
from shared.market import (
    DEALING,
    PLAYED,
    PROPOSAL,
    STATE,
    Clue,
    Dealing,
    MarketState,
    Placed,
    Played,
    Proposal,
    Table,
    write,
)
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import WAGERS
from tests.coordinator_kit import eventually
from tests.examples import ALICE, BOB
from tests.integration.test_judge_http import judge

QUESTION = "Calculate 3 * 7."
CHOICES = ("14", "21", "100000", "9")


@pytest.fixture(scope="module")
def settings():
    return load("trainer", TrainerSettings, ["policy.model=embedded", "market.enabled=true"])


@pytest.fixture(scope="module")
def policy(settings):
    return Policy(settings.policy)


def table(**changes):
    told = {"game": 0, "state": "open", "choices": 4, "clues": 3, "shown": 1, "answer": None, "reveal_by": 9**10}
    return Table(**{**told, "commitment": "0x", "bets": (0,) * 4, "weights": (0,) * 4, **changes})


async def deal(store, shown=1, **changes):
    """A game as coordinator and judge keep it."""
    clues = (QUESTION, f"{QUESTION}\nIt is not: 100000", f"{QUESTION}\nIt is not: 100000\nIt is not: 9")
    told = {"id": "p", "question": QUESTION, "choices": CHOICES, "clues": clues, "answer": 1}
    await write(store, PROPOSAL, Proposal(**told, salt="0x" + "00" * 32, made_at=0.0))
    await write(store, DEALING, Dealing(proposal="p", game=0, shown_at=0.0))
    state = {"swarm": "s", "contract": "0x", "deals": True, "round_tokens": 100, "granted": 0, "balances": {ALICE: 100}}
    await write(store, STATE, MarketState(**{**state, "game": table(shown=shown), **changes}))


def test_an_answer_the_model_was_trained_on_is_likelier_than_nonsense(policy):
    found = scores(policy, QUESTION, ("21", "100000"))
    assert found[0] > found[1]
    again = scores(policy, QUESTION, ("100000", "21"))
    assert again == pytest.approx(found[::-1], abs=1e-4), "the place in the batch and padding make no difference"


def test_a_question_longer_than_the_model_reads_gets_no_bet(policy):
    assert scores(policy, "3 * 7 " * 2_000, CHOICES) is None


async def test_it_bets_once_a_clue_on_what_its_model_finds_likely_and_never_on_what_is_ruled_out(settings, policy):
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
    await deal(context.store)
    async with judge(context.store, "prg_game=true") as client:
        player = Player(settings.market, str(client.base_url), context, policy, ALICE)
        watching = asyncio.create_task(player.watch())
        first = await bet_of(context, player)
        assert (first.peer_id, first.game, first.clue) == (ALICE, 0, 0)
        assert 0 < first.tokens <= 50 and sum(first.chances) == pytest.approx(1)
        await player.once()
        assert await context.queue.backlog(WAGERS) == 1, "one bet a clue"
        await deal(context.store, shown=3)
        last = await bet_of(context, player, 2)
        assert last.clue == 2 and last.chances[2] == last.chances[3] == 0 and last.choice in (0, 1)
        context.stop.set()
        await watching


async def bet_of(context, player, count=1):
    async def there():
        await player.once(hurried=True)
        return await context.queue.backlog(WAGERS) == count

    await eventually(there, 20)
    return (await context.queue.read(WAGERS))[-1].message


@pytest.mark.parametrize(
    "changes",
    [{"balances": {}}, {"balances": {BOB: 100}}, {"game": table(game=1)}, {"game": table(choices=3)}],
    ids=["no tokens", "another's tokens", "another game", "other choices"],
)
async def test_it_does_not_bet_where_it_cannot(settings, policy, changes):
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
    player = await shown(settings, policy, context, **changes)
    await player.once()
    assert await context.queue.backlog(WAGERS) == 0


async def test_who_was_too_sure_before_bets_less(settings, policy):
    tokens = []
    for right in (None, 0):
        context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
        if right is not None:
            games = [failed(number) for number in range(30)]
            await context.store.put(PLAYED, "[" + ",".join(game.model_dump_json() for game in games) + "]")
        player = await shown(settings, policy, context)
        await player.once()
        found = await context.queue.read(WAGERS)
        tokens.append(found[0].message.tokens if found else 0)
    assert tokens[1] < tokens[0]


def failed(number):
    """A game in which the model was sure, and wrong."""
    bet = Placed(peer=ALICE, clue=0, choice=0, tokens=1, chances=(0.97, 0.01, 0.01, 0.01))
    return Played(swarm="s", table=table(game=number, state="answered", answer=1 + number % 3), placed=(bet,))


async def shown(settings, policy, context, **changes):
    """A player that knows of a game."""
    await deal(context.store, **changes)
    player = Player(settings.market, None, context, policy, ALICE)
    player._clue = Clue(game_id=0, clue_id=0, rounds_remaining=3, clue=QUESTION, choices=CHOICES)
    return player


async def test_without_a_judge_or_switched_off_it_does_nothing(settings, policy):
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
    off = settings.market.model_copy(update={"enabled": False})
    for player in (
        Player(settings.market, None, context, policy, ALICE),
        Player(off, "http://127.0.0.1:9", context, policy, ALICE),
    ):
        await asyncio.wait_for(player.watch(), 1)
        await player.once()
    assert await context.queue.backlog(WAGERS) == 0


async def test_who_joined_sees_the_clues_of_the_founders_judge_and_none_when_it_is_gone():
    founder, joiner = MemoryStore(), MemoryStore()
    await deal(founder, shown=2)

    async def clue(client):
        return (await client.get("/current_clue/")).json()

    async with judge(founder, "prg_game=true") as far:
        async with judge(joiner, "prg_game=true", f"upstream_url={far.base_url}") as near:

            async def relayed():
                told = await clue(near)
                return told if told["game_id"] == 0 else None

            told = await eventually(relayed, 20)
            assert told == await clue(far) and told["clue_id"] == 1 and told["clue"].endswith("It is not: 100000")
        async with judge(joiner, f"upstream_url={far.base_url}") as off:
            assert (await clue(off))["game_id"] == -1, "switched off, nothing is shown"
