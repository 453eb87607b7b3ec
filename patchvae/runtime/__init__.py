"""What carries a job and never touches a digit: results, states, locks, failures, signals, devices."""
