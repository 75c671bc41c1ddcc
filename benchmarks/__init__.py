"""Side-by-side timings against peers: ratios within one process, never seconds alone."""
