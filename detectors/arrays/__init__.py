"""What every detector and the engine need of arrays: types, growth, hash tables, state."""
