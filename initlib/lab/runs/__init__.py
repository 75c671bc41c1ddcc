"""Reruns of the notebooks: planned, executed in parallel, kept, published and reported.

The reading order: `parameters` and `notebook` (what can be run), `profiles`, `inputs` and `plan`
(which runs a request means, and their keys), `store` (where they are kept), `failure` and `kernel`
(papermill), `provisioner` (forked kernels, by `forked` and `forkserver`), `environment` and
`attempt` (one run), `execute` (many), `cluster` and `remote` (elsewhere), `progress`, `publish`,
`report`, and `batch`, which the command line calls.
"""
