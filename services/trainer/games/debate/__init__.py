"""The game of three stages: answer, criticise, then vote and answer anew."""
