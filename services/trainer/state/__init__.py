"""What survives a kill -9."""
