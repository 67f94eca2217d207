"""`brinkwatch import map`: the files of a field map, read, put in order and written as a day."""
