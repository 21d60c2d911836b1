"""`make demo`: what an operator would do by hand, done through the public API against installations started for the occasion."""
