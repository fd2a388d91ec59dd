"""What is played in a round: one file a game, behind the protocol in `game.py`."""
