"""The bridge to stock RL Swarm nodes: what they write and read in the DHT, beside what our own kind does."""
