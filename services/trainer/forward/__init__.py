"""What passes through the model: sampling, and the likelihood of what was sampled."""
