"""Studies that leave this machine, and come to it: nothing in it computes a number."""
