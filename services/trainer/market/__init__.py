"""The prediction market as a player: how likely the model finds each choice, and what it bets."""
