"""What reports take from the repository: figures that are traced, numbers as macros, a site.

The reading order: `gallery` and `macros` (what reports cite); for tracing, `embedded` (what a
figure file says of itself), `origin` (the record of it), `today` (what has changed since) and
`trace` (all three); `commands` (the command line).
"""
