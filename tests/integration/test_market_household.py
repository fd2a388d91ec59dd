"""Games of the prediction market, dealt and played by real coordinators and the judge's own dealer on a real chain."""

import pytest

from services.coordinator.market import moves
from shared.household import swarm_state
from shared.market import PROPOSAL, played
from shared.wagers import Claim
from tests.coordinator_kit import PEERS, eventually
from tests.market_kit import CLUE_S, Home, dealing, right

A, B, C = PEERS[:3]


@pytest.fixture
async def founder(tmp_path, node):
    (tmp_path / "founder").mkdir()
    return Home(tmp_path / "founder", node)


async def test_of_two_games_between_two_households_everything_is_paid_and_the_early_right_bet_earns_more(
    founder, tmp_path, node
):
    async with founder.up(A, B), dealing(founder):
        contract, market = (await swarm_state(founder.store)).contract, (await founder.state()).contract
        joiner = Home(tmp_path / "joiner", node, contract, market)
        async with joiner.up(C):
            for game in (0, 1):
                await founder.shown(game, 0)
                answer = await right(founder)
                wrong = (answer + 1) % 4
                assert await founder.bet(A, game, 0, answer, 10) == ""
                assert await joiner.bet(C, game, 0, wrong, 30) == ""
                assert await founder.bet(A, game, 0, answer, 1) == "AlreadyGuessed"
                await founder.go_on()
                await founder.shown(game, 1)
                assert await founder.bet(B, game, 0, answer, 10) == "BetTooLate"
                assert await founder.bet(B, game, 1, answer, 10) == ""
                assert (await founder.finish(game)).table.answer == answer
                # 30 tokens are shared out by weight: 10 bet on the first of three clues, 10 on the second.
                assert await founder.paid(game, A, B) == {A: 28, B: 22}
            assert await eventually(lambda: all_in_purses(founder, joiner), 10), "no token is lost or made"
            remembered = await played(joiner.store)
            assert [(one.placed[0].tokens, one.paid) for one in remembered[:2]] == [(30, {}), (30, {})]


async def all_in_purses(founder, joiner):
    """Both households see that all tokens there are are in their peers' purses."""
    here, there = await founder.state(), await joiner.state()
    assert not here.balances.keys() & there.balances.keys() and not there.deals
    return here.granted == there.granted == sum(here.balances.values()) + sum(there.balances.values()) > 0


async def test_a_game_that_was_cut_off_in_the_middle_is_played_to_its_end_after_a_restart(founder):
    async with dealing(founder):
        async with founder.up(A, killed=True):
            await founder.shown(0, 0)
            answer = await right(founder)
            assert await founder.bet(A, 0, 0, answer, 7) == ""
            assert await founder.wager(Claim(peer_id=A, game=0)) == "TooEarly"
            market = (await founder.state()).contract
        async with founder.up(A):
            await founder.shown(0, 0)
            assert (await founder.finish(0)).table.answer == answer
            assert await founder.paid(0, A) == {A: 7}, "nobody else bet"
            assert (await founder.state()).contract == market, "no second market is made"
            assert await founder.wager(Claim(peer_id=A, game=0)) == "RewardAlreadyClaimed"


async def test_every_bet_comes_back_from_a_game_whose_answer_was_lost(founder, monkeypatch):
    monkeypatch.setattr(moves, "SLACK_S", 6 - 4 * CLUE_S)  # its time is over six seconds after it began
    async with founder.up(A):
        async with dealing(founder):
            await founder.shown(0, 0)
            assert await founder.bet(A, 0, 0, 0, 7) == ""
        await founder.store.take(PROPOSAL)
        assert await founder.paid(0, A) == {A: 7}
