"""Rebuilds the embedded model: tokenizer, supervised warm-up, deliberate weakening, model card."""
