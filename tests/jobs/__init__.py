"""Jobs: what follows from an upload's wishes, and workers that die over it."""
