"""The right results of one call, and how far from them a right implementation may land."""
