"""The paper as data: its 143 numbers, the readings of its text and its claims (C1-C12)."""
