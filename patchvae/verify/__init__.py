"""Published numbers computed again: nothing else of the package starts a job."""
