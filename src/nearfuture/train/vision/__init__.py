"""What images need in training: processors, placeholders, lengths, rows with and without them.

Not here: which rows are guided (`nearfuture.train.step`).
"""
