"""Speed beside a peer: the same images, weights and settings, in one process, taking turns."""
