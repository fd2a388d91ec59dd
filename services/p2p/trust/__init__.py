"""What strangers may do here, and what is remembered of them."""
