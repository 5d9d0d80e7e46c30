"""Where people and programs meet the steps."""
