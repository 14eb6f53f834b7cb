"""The languages of a case: text to tree, its limits, and the names that PyTorch allows."""
