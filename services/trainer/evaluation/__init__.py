"""`rlswarm eval`: how good a model is on questions that no training asked."""
