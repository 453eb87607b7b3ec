"""Networks of the paper's Tables 6-10."""
