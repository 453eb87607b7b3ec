"""What decides digits besides the models: precision, processes, optimizers, seeds, memory."""
