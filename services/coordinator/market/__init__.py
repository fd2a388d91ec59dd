"""The prediction market: the household's bets, and the games of the household that founded the swarm."""
