"""The paper as data: its 143 numbers, the readings of its text (A1-A18) and its claims (C1-C12)."""
