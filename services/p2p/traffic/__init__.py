"""Rollouts on their way out and in."""
