"""The formula language: text, tree, scalar program, and the interpretations of both."""
