"""From tree to program: names resolved, shapes checked, sizes limited."""
