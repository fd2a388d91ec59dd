"""Being in the swarm: the daemons, the DHT, and staying connected."""
