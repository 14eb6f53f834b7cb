"""The certified truth: derivatives in ball arithmetic, by two derivations that must meet."""
