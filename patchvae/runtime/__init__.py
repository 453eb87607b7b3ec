"""What carries a job and never touches a digit.

Results, states, locks, failures, signals, devices.
"""
