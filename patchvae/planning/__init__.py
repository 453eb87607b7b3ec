"""What is done, what is missing and what it costs."""
