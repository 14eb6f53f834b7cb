"""What of PyTorch's derivatives a catalog reaches, measured while its code runs."""
