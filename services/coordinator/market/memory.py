"""What the household remembers of the latest games: question, its own bets, what it was paid; for the page.

From what the judge shows, what our wagers were, and what the chain says.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.market import CLUE, Clue, Placed, Played, Table, played, put_played, question_of, read
from shared.queue import Store
from shared.wagers import Guess

REFUND_S = 86_400.0


class Memory:
    """One market's games, as this household saw them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.swarm = ""  # whose market it is; of another's nothing holds

    async def states(self) -> dict[int, str]:
        """How each game was at the last look."""
        return {number: game.table.state for number, game in (await self._games()).items()}

    async def see(self, tables: Sequence[Table]) -> list[Table]:
        """Take in how the latest games are now; the same with the bets of those that came without any."""
        before = await self._games()
        games, clue = dict(before), await read(self._store, CLUE, Clue)
        for table in tables:
            game = games.get(table.game) or Played(swarm=self.swarm, table=table)
            if clue is not None and clue.game_id == table.game and clue.choices and not game.choices:
                game = game.model_copy(update={"question": question_of(clue.clue), "choices": clue.choices})
            bets = {} if table.bets else {"bets": game.table.bets, "weights": game.table.weights}
            games[table.game] = game.model_copy(update={"table": table.model_copy(update=bets)})
        if games != before:
            await self._put(games)
        return [games[table.game].table for table in tables]

    async def placed(self, guess: Guess) -> None:
        """One of our peers bet."""
        bet = Placed(
            peer=guess.peer_id, clue=guess.clue, choice=guess.choice, tokens=guess.tokens, chances=guess.chances
        )
        games = await self._games()
        if (game := games.get(guess.game)) is not None:
            others = tuple(one for one in game.placed if (one.peer, one.clue) != (bet.peer, bet.clue))
            games[guess.game] = game.model_copy(update={"placed": (*others, bet)})
            await self._put(games)

    async def paid(self, number: int, peer: str, tokens: int) -> None:
        """One of our peers was paid."""
        games = await self._games()
        if (game := games.get(number)) is not None:
            games[number] = game.model_copy(update={"paid": {**game.paid, peer: tokens}})
            await self._put(games)

    async def unfinished(self, now: float) -> list[int]:
        """Games that were not over at the last look; for a while also those whose time is up, as bets go back then."""
        return [number for number, game in (await self._games()).items() if not game.table.is_over(now - REFUND_S)]

    async def _games(self) -> dict[int, Played]:
        return {game.table.game: game for game in await played(self._store) if game.swarm == self.swarm}

    async def _put(self, games: dict[int, Played]) -> None:
        await put_played(self._store, [games[number] for number in sorted(games)])
