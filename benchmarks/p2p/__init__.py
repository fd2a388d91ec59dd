"""What an exchange of rollouts costs, measured on real p2pd processes, and computed for swarms of any size."""
