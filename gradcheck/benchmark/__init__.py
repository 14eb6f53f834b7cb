"""What gradcheck costs, measured beside what its users would do without it. Judges nothing."""
