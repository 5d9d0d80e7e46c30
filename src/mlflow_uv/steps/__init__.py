"""The steps of the program, one command each."""
