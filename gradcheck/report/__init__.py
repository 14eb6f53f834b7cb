"""Results as lines and as text. They say what was ruled, and rule nothing."""
