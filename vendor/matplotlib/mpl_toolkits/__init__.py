"""See matplotlib."""
