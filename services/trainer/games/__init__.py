"""What is played in a round, and on which questions."""
