"""The numbers of every round, and where they go."""
