"""What travels between households, and what makes it believable."""
